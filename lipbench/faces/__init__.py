"""A face in an image: detection, landmarks, tracking, parsing, morphable models and rasterization.

    track_faces(video, backend="mediapipe-face") -> FaceTrack
    require_face(track)                 NoFace unless enough frames show one
    backends(), backend_identity(name)  what can find faces; what goes into cache keys

Nothing here imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.faces.backend_table import Backend as Backend
    from lipbench.faces.backend_table import backend_identity as backend_identity
    from lipbench.faces.backend_table import backends as backends
    from lipbench.faces.backend_table import require_face as require_face
    from lipbench.faces.files import from_landmarks as from_landmarks
    from lipbench.faces.pipeline import track_faces as track_faces
    from lipbench.faces.track import Box as Box
    from lipbench.faces.track import FaceTrack as FaceTrack

_HOMES = {
    "Backend": "backend_table",
    "backend_identity": "backend_table",
    "backends": "backend_table",
    "require_face": "backend_table",
    "from_landmarks": "files",
    "track_faces": "pipeline",
    "Box": "track",
    "FaceTrack": "track",
}
__all__ = [
    "Backend",
    "Box",
    "FaceTrack",
    "backend_identity",
    "backends",
    "from_landmarks",
    "require_face",
    "track_faces",
]
__getattr__ = lazy(__name__, _HOMES)
