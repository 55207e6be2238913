"""From what a command left behind to a video that can be scored: the steps of `post`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.external import placeholders
from lipbench.baselines.external.config import Output, Post
from lipbench.baselines.external.output import Found, bad_output
from lipbench.baselines.external.workspace import Workspace
from lipbench.core.errors import MediaError

Frame = NDArray[np.uint8]
_COPYABLE = frozenset({"h264", "hevc", "mpeg4", "av1", "vp9"})  # codecs that an mp4 takes as they are
_FEATHER = 1 / 8  # of the pasted image's size


@dataclass(frozen=True)
class Stream:
    """Frames on their way: RGB at a constant rate."""

    frames: Iterator[Frame]
    fps: float


def fits(found: Found, steps: Iterable[Post], fps: float) -> bool:
    """Whether the video can be taken as it is: nothing to do but the audio."""
    if found.images or any(step.mux is None for step in steps):
        return False
    try:
        info = media.probe(found.path)
    except MediaError:
        return False  # `opened` says what is wrong
    return abs(float(info.fps) - fps) < 1e-3 and not info.vfr and not info.rotation and info.codec in _COPYABLE


def opened(output: Output, found: Found, space: Workspace) -> tuple[Stream, int]:
    """The frames of what was found, and how many there are.

    Raises:
        LipbenchError: reason "bad_output", it does not decode.
    """
    if found.images:
        return Stream(map(_image, found.images), output.fps or space.fps), len(found.images)
    path = found.path
    try:
        info = media.probe(path)
    except MediaError as error:
        raise bad_output("the command's video cannot be read", f"{error.what}: {error.why}") from error
    # Variable rates are put on a grid; the time stamps decide.
    return Stream(media.read_frames(path, fps=info.fps if info.vfr else None), float(info.fps)), info.n_frames


def apply(steps: Iterable[Post], stream: Stream, space: Workspace, clip: Callable[[], Iterator[Frame]]) -> Stream:
    """Run the steps in order, streaming.

    Args:
        clip: opens the frames that `paste` pastes into.
    """
    for step in steps:
        if step.crop is not None:
            stream = replace(stream, frames=_crop(stream.frames, step.crop))
        elif step.resize is not None:
            stream = replace(stream, frames=_resize(stream.frames, step.resize, clip))
        elif step.fps is not None:
            stream = Stream(resample(stream.frames, stream.fps, step.fps), step.fps)
        elif step.drop_head is not None or step.drop_tail is not None:
            stream = replace(stream, frames=drop(stream.frames, step.drop_head or 0, step.drop_tail or 0))
        elif step.pad_head is not None or step.pad_tail is not None:
            stream = replace(stream, frames=pad(stream.frames, step.pad_head or 0, step.pad_tail or 0))
        elif step.paste is not None:
            matrices = read_matrices(space.cwd / placeholders.fill(step.paste, space.values))
            stream = replace(stream, frames=paste(stream.frames, matrices, clip(), step.blend or "none"))
    return stream


def drop(frames: Iterable[Frame], head: int, tail: int) -> Iterator[Frame]:
    """Without the first `head` and the last `tail` frames."""
    held: deque[Frame] = deque()
    for frame in islice(frames, head, None):
        held.append(frame)
        if len(held) > tail:
            yield held.popleft()


def pad(frames: Iterable[Frame], head: int, tail: int) -> Iterator[Frame]:
    """With the first frame `head` times and the last one `tail` times more."""
    last = None
    for last in (stream := iter(frames)):
        yield from repeat(last, head + 1)
        break
    for last in stream:
        yield last
    if last is not None:
        yield from repeat(last, tail)


def resample(frames: Iterable[Frame], source: float, target: float) -> Iterator[Frame]:
    """Frames of another constant rate: output k shows the input frame at its middle, (k + 1/2) / target seconds."""
    k = 0
    for i, frame in enumerate(frames):
        while (k + 0.5) * source < (i + 1) * target:
            yield frame
            k += 1


def read_matrices(path: Path) -> list[NDArray[np.float64]]:
    """One 2x3 matrix for all frames, or one per frame; output px -> clip px.

    Raises:
        LipbenchError: reason "bad_output", not such a file.
    """
    try:
        values = np.asarray(json.loads(path.read_text()), np.float64)
    except (OSError, ValueError) as error:
        raise bad_output(f"cannot read the matrices {path.name}", str(error)) from error
    if values.shape[-2:] != (2, 3) or values.ndim not in (2, 3) or not np.isfinite(values).all():
        raise bad_output(f"cannot use the matrices {path.name}", f"shape {values.shape}, wanted (2, 3) or (n, 2, 3)")
    return list(values.reshape(-1, 2, 3))


def paste(
    frames: Iterable[Frame], matrices: list[NDArray[np.float64]], clip: Iterable[Frame], blend: str
) -> Iterator[Frame]:
    """Each image warped into its clip frame; ends with the shortest (one matrix serves all frames)."""
    for frame, matrix, ground in zip(
        frames, matrices if len(matrices) > 1 else repeat(matrices[0]), clip, strict=False
    ):
        size = ground.shape[1::-1]
        image = np.asarray(cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_CUBIC), np.uint8)
        if blend == "poisson":
            mask = np.asarray(cv2.warpAffine(_inner(frame.shape[:2]), matrix, size), np.uint8)
            yield _poisson(image, ground, mask)
            continue
        opaque = _edge(frame.shape[:2]) if blend == "feather" else np.ones(frame.shape[:2], np.float32)
        alpha = cv2.warpAffine(opaque, matrix, size)[..., None]
        yield np.rint(ground + alpha * (image.astype(np.float32) - ground)).astype(np.uint8)


def _poisson(image: Frame, ground: Frame, mask: NDArray[np.uint8]) -> Frame:
    x, y, w, h = cv2.boundingRect(mask)
    if w == 0 or h == 0:
        return ground
    return np.asarray(cv2.seamlessClone(image, ground, mask, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE), np.uint8)


def _inner(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Everything but the outermost pixels, which the warp has mixed with black."""
    mask = np.zeros(shape, np.uint8)
    mask[2:-2, 2:-2] = 255
    return mask


def _edge(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(h, w) 0 at the edge, 1 inside, linear over _FEATHER of the smaller side."""
    h, w = shape
    rows, columns = np.minimum(np.arange(h), h - 1 - np.arange(h)), np.minimum(np.arange(w), w - 1 - np.arange(w))
    distance = np.minimum(rows[:, None], columns[None])
    return np.clip(distance / (_FEATHER * min(h, w)), 0, 1).astype(np.float32)


def pixels(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """A crop's left, top, right and bottom edge, px; floats are parts of the frame, rounded to whole pixels."""
    x, y, w, h = box
    if all(isinstance(number, int) for number in box):
        return int(x), int(y), int(x + w), int(y + h)
    return round(x * width), round(y * height), round((x + w) * width), round((y + h) * height)


def _crop(frames: Iterator[Frame], box: Sequence[float]) -> Iterator[Frame]:
    for frame in frames:
        left, top, right, bottom = pixels(box, frame.shape[1], frame.shape[0])
        if bottom > frame.shape[0] or right > frame.shape[1] or bottom <= top or right <= left:
            raise bad_output(
                f"cannot crop {list(box)} out of the command's video",
                f"its frames are {frame.shape[1]} x {frame.shape[0]}",
                "correct `crop` in the method file: [x, y, width, height] in pixels or parts of the frame",
            )
        yield np.ascontiguousarray(frame[top:bottom, left:right])


def _resize(
    frames: Iterator[Frame], size: tuple[int, int] | str, clip: Callable[[], Iterator[Frame]]
) -> Iterator[Frame]:
    first = next(frames, None)
    if first is None:
        return
    target = next(clip()).shape[1::-1] if isinstance(size, str) else size
    way = cv2.INTER_AREA if first.shape[1] > target[0] else cv2.INTER_CUBIC
    for frame in chain([first], frames):
        yield np.asarray(cv2.resize(frame, target, interpolation=way), np.uint8)


def _image(path: Path) -> Frame:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise bad_output("the command's frames cannot be read", f"{path.name} is no image")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)
