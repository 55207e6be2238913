"""Is it a dubbed video? Checks on what an external method made, before anything is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.external.output import bad_output
from lipbench.core.errors import LipbenchError, MediaError
from lipbench.faces.track import MOUTH_68, FaceTrack

#: Mean absolute difference around the mouth, of 255, below which it counts as the input's. Measured on two real clips:
#: encoding again with x264 costs 1.8 to 3.4 (crf 18, 23) and 3.4 to 4.3 (crf 28); the lips of one frame later are 7 to
#: 15 away, those of another moment 15 to 40.
SAME_MOUTH = 4.0
SAME_MOUTH_OWN_WORDS = 1.0  # for a dub in the clip's own language: the original's lips may be right
SAME_PICTURE = 2  # largest difference anywhere, where the mouth's place is not known


def accept(
    video: Path,
    dub_video: Path,
    n_frames: int,
    track: FaceTrack | None,
    *,
    own_words: bool,
    pass_through: bool,
    made: int | None = None,
) -> dict[str, float]:
    """Check length, size and audio, and that the mouth is not the input's.

    Args:
        track: the face in `dub_video`, or None.
        own_words: the dub is in the clip's own language.
        pass_through: returning the input is no fault.
        made: frames of what the command itself made, for the message.

    Returns:
        n_frames, and mouth_change: mean absolute difference to the input in the mouth region (whole image when the
        track is None), of 255.

    Raises:
        LipbenchError: reason "length_mismatch", "bad_output" or "pass_through".
    """
    seen, source = media.probe(video), media.probe(dub_video)
    if abs(seen.n_frames - n_frames) > 1:
        raise LipbenchError(
            "the command's video has the wrong length",
            f"it has {seen.n_frames} frames, the dub has {n_frames}"
            + (f"; the command made {made}" if made not in (None, seen.n_frames) else ""),
            f"{tail_fix(seen.n_frames, n_frames)} under `post` in the method file, if that is so for every length",
            reason="length_mismatch",
        )
    if (seen.width, seen.height) != (source.width, source.height):
        raise bad_output(
            "the command's video has the wrong size",
            f"it is {seen.width} x {seen.height}, the clip is {source.width} x {source.height}",
            "add `crop`, `resize` or `paste` under `post` in the method file",
        )
    if seen.audio is None:
        raise bad_output("the command's video has no audio", "the dub was not muxed")
    try:
        mean, most = change(video, dub_video, track)
    except MediaError as error:
        raise bad_output("the command's video cannot be decoded", f"{error.what}: {error.why}") from error
    limit = SAME_MOUTH_OWN_WORDS if own_words else SAME_MOUTH
    same = mean < limit if track is not None else most <= SAME_PICTURE
    if same and not pass_through:
        where = "around the mouth" if track is not None else "anywhere"
        raise LipbenchError(
            "the command returned its input",
            f"nothing changed {where} (mean difference {mean:.2f} of 255)",
            "check its log; `caps: {pass_through: true}` if that is meant",
            reason="pass_through",
        )
    return {"n_frames": seen.n_frames, "mouth_change": round(mean, 3)}


def tail_fix(have: int, wanted: int) -> str:
    """What mends a number of frames: `drop_tail` or `pad_tail` by the difference, beside what is there already."""
    return f"drop {have - wanted} more with `drop_tail`" if have > wanted else f"add {wanted - have} with `pad_tail`"


def change(video: Path, source: Path, track: FaceTrack | None) -> tuple[float, float]:
    """(mean, largest) absolute difference of two videos, in the mouth boxes or everywhere."""
    boxes = None if track is None else mouth_boxes(track)
    total, count, most = 0.0, 0, 0.0
    for t, (a, b) in enumerate(zip(media.read_frames(video), media.read_frames(source), strict=False)):
        if boxes is not None:
            box = boxes[t] if t < len(boxes) else None
            if box is None:
                continue
            x1, y1, x2, y2 = box
            a, b = a[y1:y2, x1:x2], b[y1:y2, x1:x2]
        difference = np.abs(a.astype(np.int16) - b)
        total, count, most = (
            total + float(difference.sum()),
            count + difference.size,
            max(most, float(difference.max())),
        )
    return (total / count if count else 0.0), most


def mouth_boxes(track: FaceTrack) -> list[tuple[int, int, int, int] | None]:
    """x1 y1 x2 y2 around the lips (or the lower half of the face box), None where no face was seen."""
    points = track.points68()
    found: list[tuple[int, int, int, int] | None] = []
    for t in range(len(track)):
        if not track.found[t]:
            found.append(None)
            continue
        if points is not None:
            lips = points[t, MOUTH_68]
            margin = 0.25 * float(np.ptp(lips[:, 0]))
            low, high = lips.min(0) - margin, lips.max(0) + margin
        else:
            x1, y1, x2, y2 = track.boxes[t]
            low, high = np.array([x1, (y1 + y2) / 2]), np.array([x2, y2])
        found.append(_clamped(low, high, track.width, track.height))
    return found


def _clamped(
    low: NDArray[np.floating], high: NDArray[np.floating], width: int, height: int
) -> tuple[int, int, int, int] | None:
    x1, y1 = np.clip(np.floor(low), 0, (width, height)).astype(int)
    x2, y2 = np.clip(np.ceil(high), 0, (width, height)).astype(int)
    return (int(x1), int(y1), int(x2), int(y2)) if x2 > x1 and y2 > y1 else None
