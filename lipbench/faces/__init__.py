"""A face in an image: detection, landmarks, tracking, parsing, morphable models and rasterization.

    track_faces(video, backend="mediapipe-face") -> FaceTrack
    require_face(track)                 NoFace unless enough frames show one
    backends(), backend_identity(name)  what can find faces; what goes into cache keys

Nothing here imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
