"""Face tracks out of files: lipbench's own npz, landmark arrays, AD-NeRF's folders of .lms files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import MediaError, UsageError
from lipbench.faces.track import FaceTrack

KINDS = "an .npz face track, an .npy array (T, 68|468|478, 2|3) or a folder of .lms files"
#: How far the face box reaches above the brows, in brow-to-chin heights, where there are only 68 points: the mesh's
#: top lies 0.186 and 0.192 above them on the two real clips it was measured on.
FOREHEAD = 0.19


def read_track(
    path: str | Path, *, backend: str, fps: float | None, size: tuple[int, int] | None, n_frames: int | None = None
) -> FaceTrack:
    """Read landmarks or a face track.

    Args:
        path: `KINDS`. Coordinates in pixels of the video; NaN rows and missing .lms files are lost frames.
        backend: the name that the track carries.
        fps: frames per second of the video; required unless the file is an .npz track, which must agree.
        size: (width, height) of the video, px; required in the same cases.
        n_frames: of the video; .lms folders may stop earlier (lost at the end), anything else must have as many.

    Raises:
        UsageError: no such file, or fps or size is missing.
        MediaError: not readable, or made for another video.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"there is no landmark file {path}", "", f"give {KINDS}")
    if path.suffix == ".npz":
        track = replace(FaceTrack.load(path), backend=backend)
        _agree(path, "frame size", size, (track.width, track.height))
    else:
        if fps is None or size is None:
            raise UsageError(f"{path} does not say its frame rate and size", "", "give fps and size of the video")
        points = _lms(path, n_frames) if path.is_dir() else _array(path)
        track = from_landmarks(points, fps=fps, size=size, backend=backend)
    _agree(path, "number of frames", n_frames, len(track))
    return track


def _agree(path: Path, what: str, wanted: object, found: object) -> None:
    if wanted is not None and wanted != found:
        raise MediaError(
            f"the landmarks in {path} are of another video",
            f"their {what} is {found}, the video's is {wanted}",
            "make them again from this video, or leave them out",
        )


def from_landmarks(
    points: NDArray[np.floating], *, fps: float, size: tuple[int, int], backend: str = "file"
) -> FaceTrack:
    """A track from (T, K, 2 or 3) landmarks in px; frames with a NaN in them are lost.

    Boxes are tight around the face, forehead included (estimated for 68 points).
    """
    points = np.asarray(points, dtype=np.float32)
    if points.shape[2] == 2:
        points = np.concatenate([points, np.zeros_like(points[..., :1])], axis=2)
    found = np.isfinite(points).all(axis=(1, 2))
    points = np.where(found[:, None, None], points, np.nan).astype(np.float32)
    boxes = np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], axis=1)
    if points.shape[1] == 68:
        brows, chin = points[:, 17:27, 1].min(1), points[:, :17, 1].max(1)
        boxes[:, 1] = np.minimum(boxes[:, 1], brows - FOREHEAD * (chin - brows))
    return FaceTrack(
        backend, float(fps), int(size[0]), int(size[1]), boxes, found.astype(np.float32), found.astype(np.int16), points
    )


def _array(path: Path) -> NDArray[np.floating]:
    try:
        points: NDArray[np.floating] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot read the landmarks {path}", str(error), f"give {KINDS}") from error
    shape = points.shape
    if len(shape) != 3 or shape[1] not in (68, 468, 478) or shape[2] not in (2, 3):
        raise MediaError(f"cannot use the landmarks {path}", f"their shape is {shape}", f"give {KINDS}")
    return points


def _lms(folder: Path, n_frames: int | None) -> NDArray[np.floating]:
    """AD-NeRF's data_util output: `<frame>.lms`, 68 lines of x and y; a frame without a file is lost."""
    numbered = {int(file.stem): file for file in folder.glob("*.lms") if file.stem.isdigit()}
    if not numbered:
        raise MediaError(f"there are no .lms files in {folder}", "", f"give {KINDS}")
    points = np.full((max(max(numbered) + 1, n_frames or 0), 68, 2), np.nan, np.float32)
    for number, file in numbered.items():
        try:
            points[number] = np.loadtxt(file, dtype=np.float32)
        except ValueError as error:
            raise MediaError(
                f"cannot read {file}", str(error).splitlines()[0], "it must hold 68 lines of x y"
            ) from error
    return points
