"""Every error that lipbench raises on purpose.

    LipbenchError                 exit 5   reason "error"
    ├── UsageError                exit 2   "usage"            the request itself is wrong
    │   ├── ManifestError         exit 2   "manifest"         a line of a manifest, run file or method file
    │   ├── UnknownName           exit 2   "unknown_name"     no such method, metric, clip, ... (did you mean?)
    │   └── UnsupportedSystem     exit 2   "system"           this operating system; also a SystemExit
    ├── MediaError                exit 2   "bad_media"        a video or audio file that cannot be used
    │   ├── NoVideo               exit 2   "no_video"
    │   ├── NoAudio               exit 2   "no_audio"
    │   └── Truncated             exit 2   "truncated"
    ├── Refused                   exit 2   "refused"          a job that cannot be done on this input, known beforehand
    │   ├── NoFace                exit 2   "no_face"
    │   ├── TooShort              exit 2   "too_short"
    │   └── Unsupported           exit 2   "unsupported"      this method or metric cannot do that
    ├── WeightsError              exit 2   "weights"
    │   ├── WeightsMissing        exit 2   "weights_missing"
    │   └── WeightsMismatch       exit 2   "weights_mismatch" the file is there but is not the pinned one
    ├── StoreError                exit 5   "store"
    │   ├── DiskFull              exit 5   "disk_full"
    │   └── Damaged               exit 2   "damaged"          a kept result is not what was written
    ├── Regression                exit 1   "regression"
    ├── Suspect                   exit 6   "suspect"          worse than tolerated, and it may be chance
    ├── RunIncomplete             exit 3   "incomplete"
    └── NothingComparable         exit 4   "nothing_comparable"

An error is three lines: what happened, why, and what to do next. `reason` is a short word that goes into
records and tables, so that a cell without a number says why.
"""

from __future__ import annotations

import errno
import sys


class LipbenchError(Exception):
    """Base of all expected errors.

    Args:
        what: one line, what happened, naming the file or the thing.
        why: one line, the cause ("" when `what` says it all).
        fix: one line, what the user can do next.
        reason: overrides the class's short word for records.
        kept: False for what depends on more than a stage's key, such as whether a file is there: no record keeps it,
            and the next run looks again.
    """

    exit_code = 5
    reason = "error"
    kept = True

    def __init__(
        self, what: str, why: str = "", fix: str = "", *, reason: str | None = None, kept: bool | None = None
    ) -> None:
        super().__init__(what, why, fix)
        self.what, self.why, self.fix = what, why, fix
        if kept is not None:
            self.kept = kept
        if reason is not None:
            self.reason = reason

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.fix) if part)

    def one_line(self) -> str:
        """What, why and fix on one line: for table footnotes and records."""
        return " ".join(part.rstrip(".") + "." for part in (self.what, self.why, self.fix) if part)

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors to their parent; the default would lose `reason`.
        return _rebuild, (type(self), self.what, self.why, self.fix, self.reason, self.kept)


def _rebuild(cls: type[LipbenchError], what: str, why: str, fix: str, reason: str, kept: bool = True) -> LipbenchError:
    return cls(what, why, fix, reason=reason, kept=kept)


class UsageError(LipbenchError):
    exit_code, reason = 2, "usage"


class ManifestError(UsageError):
    reason = "manifest"


class UnknownName(UsageError):
    reason = "unknown_name"


class UnsupportedSystem(UsageError, SystemExit):
    """Raised while lipbench is imported, before any command line could catch it.

    It is a SystemExit too, so that a program which does not catch it ends with exit code 2 and without a traceback;
    the interpreter prints nothing for a number, so the three lines are printed here.
    """

    reason = "system"

    def __init__(
        self, what: str, why: str = "", fix: str = "", *, reason: str | None = None, kept: bool | None = None
    ) -> None:
        super().__init__(what, why, fix, reason=reason, kept=kept)
        self.code = self.exit_code
        print(f"error: {what}\n       {why}\n       {fix}", file=sys.stderr)


class MediaError(LipbenchError):
    exit_code, reason = 2, "bad_media"


class NoVideo(MediaError):
    reason = "no_video"


class NoAudio(MediaError):
    reason = "no_audio"


class Truncated(MediaError):
    reason = "truncated"


class Refused(LipbenchError):
    exit_code, reason = 2, "refused"


class NoFace(Refused):
    reason = "no_face"


class TooShort(Refused):
    reason = "too_short"


class Unsupported(Refused):
    reason = "unsupported"


class WeightsError(LipbenchError):
    exit_code, reason = 2, "weights"


class WeightsMissing(WeightsError):
    reason = "weights_missing"


class WeightsMismatch(WeightsError):
    reason = "weights_mismatch"


class StoreError(LipbenchError):
    exit_code, reason = 5, "store"


class DiskFull(StoreError):
    reason = "disk_full"


class Damaged(StoreError):
    exit_code, reason = 2, "damaged"


class Remark(UserWarning):
    """Something that a user should know, though what was asked for is done; the command line prints it as one line."""


class Regression(LipbenchError):
    exit_code, reason = 1, "regression"


class Suspect(LipbenchError):
    """Something is worse than tolerated and may be chance."""

    exit_code, reason = 6, "suspect"


class RunIncomplete(LipbenchError):
    exit_code, reason = 3, "incomplete"


class NothingComparable(LipbenchError):
    exit_code, reason = 4, "nothing_comparable"


#: Reasons that depend on the input alone: trying again changes nothing, so such a record counts as finished.
FINAL_REASONS = frozenset(
    cls.reason
    for cls in (
        MediaError,
        NoVideo,
        NoAudio,
        Truncated,
        Refused,
        NoFace,
        TooShort,
        Unsupported,
        WeightsMissing,
        WeightsMismatch,
        ManifestError,
    )
) | {"which_audio"}


def disk_full(error: OSError, path: object) -> DiskFull:
    """The error for ENOSPC or EDQUOT while writing `path`; re-raises `error` when it is neither."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return DiskFull(
        f"cannot write {path}",
        "the disk is full",
        "free some space and run the same command again; finished stages are kept",
    )


def cannot_write(error: OSError, path: object) -> StoreError:
    """The error for a run directory in which `path` cannot be written: DiskFull where that is the reason."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(error, path)
    return StoreError(f"cannot write {path}", str(error.strerror), "make it writable, or name another with --out")
