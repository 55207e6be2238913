"""What a command leaves: its places emptied before it starts, and the one thing that is new when it has ended."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lipbench.baselines.external.config import Output
from lipbench.core.errors import LipbenchError

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})

#: Tells one state of a file from another: size, time of its last change (ns), and inode.
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Found:
    """What a command made: a video, or (`images` not empty) images in their order.

    Attributes:
        path: the file, or the folder of the images.
        images: the images.
    """

    path: Path
    images: tuple[Path, ...] = ()


def bad_output(what: str, why: str, fix: str = "") -> LipbenchError:
    return LipbenchError(what, why, fix or "read what it wrote: stdout.txt and stderr.txt", reason="bad_output")


def fixed_part(pattern: str) -> Path:
    """The leading folders of a pattern that hold no wildcard: of `results/**/*.mp4` it is `results`."""
    parts = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def matches(output: Output, pattern: Path) -> list[Path]:
    """Everything at the output's place now, links included.

    Args:
        output: of the method file.
        pattern: its pattern, filled and absolute.
    """
    if output.find == "newest-glob":
        return [Path(p) for p in sorted(glob.glob(str(pattern), recursive=True)) if not Path(p).is_dir()]
    if output.find == "dir-of-frames":
        return [p for p in sorted(pattern.iterdir()) if p.suffix.lower() in IMAGES] if pattern.is_dir() else []
    return [pattern] if pattern.is_symlink() or pattern.is_file() else []


def clear(output: Output, pattern: Path, inside: Path) -> None:
    """Unlink what lies at the output's place in the private folder: nothing old is credited to the command, and it
    writes through no link into the checkout. Files elsewhere stay; `snapshot` knows them.

    Args:
        output: of the method file.
        pattern: its pattern, filled and absolute.
        inside: the private folder.
    """
    if output.find == "dir-of-frames" and pattern.is_symlink() and _within(pattern.parent, inside):
        pattern.unlink()
    for path in matches(output, pattern):
        if _within(path.parent, inside):
            path.unlink()


def snapshot(output: Output, pattern: Path) -> dict[Path, Signature]:
    """The files at the output's place, and how to see that one has been written again."""
    return {path: sign for path in matches(output, pattern) if (sign := _signature(path)) is not None}


def find(output: Output, pattern: Path, before: Mapping[Path, Signature], inside: Path) -> Found:
    """What the command made at the output's place.

    Args:
        output: of the method file.
        pattern: its pattern, filled and absolute.
        before: what `snapshot` saw when the command started; of these only what was written again counts.
        inside: the private folder. A link is followed only where it ends in there: what it leads to elsewhere is
            older than the command, or nobody knows.

    Raises:
        LipbenchError: reason "bad_output": there is nothing new, or several files, and no telling which.
    """
    there = matches(output, pattern)
    new = [p for p in there if (sign := _signature(p)) is not None and sign != before.get(p)]
    own = [p for p in new if not p.is_symlink() or _within(p, inside)]
    if output.find == "dir-of-frames":
        if not own:
            why = _nothing(output, there, new)
            raise bad_output("the command made no frames", why)
        return Found(pattern, tuple(sorted(own, key=_natural)))
    own = [p for p in own if p.stat().st_size > 0]
    # A link beside the file that it leads to is no second video.
    own = [p for p in own if not (p.is_symlink() and p.resolve() in {o.resolve() for o in own if not o.is_symlink()})]
    if not own:
        raise bad_output("the command made no video", _nothing(output, there, new))
    if len(own) > 1:
        base = pattern.parents[len(pattern.parts) - len(fixed_part(str(pattern)).parts) - 1]
        names = [str(p.relative_to(base)) for p in own]
        listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise bad_output(
            f"the command made {len(own)} videos and nothing says which one is the result",
            f"{output.pattern} matches {listed}",
            "narrow `output.pattern` in the method file until it matches one of them",
        )
    return Found(own[0])


def _nothing(output: Output, there: list[Path], new: list[Path]) -> str:
    if new:
        if any(p.is_symlink() for p in new):
            return f"{output.pattern} is a link that leads out of the private folder"
        return f"{output.pattern} is empty"
    if any(p.is_symlink() and not p.exists() for p in there):
        return f"{output.pattern} is a link that leads nowhere"
    if there:
        return f"what matches {output.pattern} was there before it started"
    if output.find == "newest-glob":
        return f"nothing new matches {output.pattern}"
    return f"there is no {'image in ' if output.find == 'dir-of-frames' else ''}{output.pattern}, or it is empty"


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _signature(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except OSError:  # a link that leads nowhere
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _natural(path: Path) -> list[object]:
    """frame2 before frame10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
