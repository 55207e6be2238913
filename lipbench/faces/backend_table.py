"""What can find faces, by name; light enough to be imported for planning (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lipbench.core import weights
from lipbench.core.code import current
from lipbench.core.errors import NoFace, UnknownName
from lipbench.faces.track import FaceTrack


@dataclass(frozen=True)
class Backend:
    """A way to get a face track.

    Attributes:
        name: e.g. "mediapipe-face".
        title: one line.
        weights: name in the weights registry, "" for files.
        landmarks: points per face, 0 for boxes only, None when the file decides.
        tracker: the function that `pipeline.track_faces` calls for it; its code is part of cache keys.
    """

    name: str
    title: str
    weights: str
    landmarks: int | None
    tracker: str


#: What runs for every backend; it calls the `tracker` of the one that was asked for.
PIPELINE = "lipbench.faces.pipeline:track_faces"
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("mediapipe-face", "BlazeFace and the 478-point attention mesh", "mediapipe-face", 478, "_track_mesh"),
        Backend("s3fd-syncnet", "S3FD as the SyncNet pipeline runs it: boxes only", "sfd_face", 0, "_track_boxes"),
        Backend("s3fd-wav2lip", "S3FD as Wav2Lip runs it: boxes only", "s3fd", 0, "_track_boxes"),
        Backend(
            "demo-face", "68 points by the demo's own networks: generated faces only", "demo-face", 68, "_track_points"
        ),
        Backend("file", "landmarks from a file (.npz, .npy, folder of .lms)", "", None, "read_track"),
        Backend("corpus", "true landmarks of a generated clip (.npz)", "", None, "read_track"),
    )
}


def backends() -> tuple[Backend, ...]:
    """All face backends, the default first."""
    return tuple(BACKENDS.values())


def backend(name: str) -> Backend:
    """The named backend.

    Raises:
        UnknownName: with the known ones.
    """
    if name not in BACKENDS:
        raise UnknownName(f"there is no face backend called {name!r}", f"known: {', '.join(BACKENDS)}")
    return BACKENDS[name]


def backend_identity(name: str) -> Mapping[str, Any]:
    """What, besides the video, decides a backend's track: for cache keys. Plain JSON values.

    The hash of a landmark file is not in it: whoever names the file adds that.

    Raises:
        UnknownName: no such backend.
    """
    found = backend(name)
    return {"backend": name, "weights": weights.sha256(found.weights) if found.weights else None, "code": _code(found)}


def _code(chosen: Backend) -> str:
    """Digest of what `track_faces` runs for a backend."""
    others = {other.tracker for other in BACKENDS.values()} - {chosen.tracker}
    skip = frozenset(f"{PIPELINE.partition(':')[0]}:{tracker}" for tracker in others)
    return current().code(PIPELINE, skip=skip).digest


def require_face(track: FaceTrack, min_share: float = 0.5) -> FaceTrack:
    """The track itself, if a face was seen in at least `min_share` of the frames and in one frame at least.

    Raises:
        NoFace: otherwise.
    """
    found, total = int(track.found.sum()), len(track)
    if found == 0 or found < min_share * total:
        raise NoFace(
            "no face was found" if found == 0 else f"a face was found in {found} of {total} frames only",
            f"looked with {track.backend}; {min_share:.0%} of the frames must show one",
            "give a clip that shows one face, or landmarks of your own",
        )
    return track
