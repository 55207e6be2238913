"""Every number of the published pipeline, in one place; results carry them.

Sources: joonson/syncnet_python `run_pipeline.py` and `SyncNetInstance.py`, scenedetect 0.5.1 `ContentDetector`.
"""

from __future__ import annotations

from typing import Any

#: Bump when the same video would get other numbers: it is part of every score's identity.
CONSTANTS_VERSION = "1"

# -- the sync model's input ------------------------------------------------------------------------------------------
FPS = 25
RATE = 16000
WINDOW_FRAMES = 5
WINDOW_COLUMNS = 20  # MFCC columns of a window
COLUMNS_PER_FRAME = 4
SAMPLES_PER_FRAME = 640

# -- the score --------------------------------------------------------------------------------------------------
VSHIFT = 15  # largest shift in frames: 31 shifts
TAIL = 5  # frames at the end without a window of their own: lastframe = min_length - 5

# -- realvideo: detection, shots, tracks, crop ------------------------------------------------------------------
DETECTION_SCALE = 0.25
DETECTION_CONFIDENCE = 0.9
SHOT_THRESHOLD = 30.0
MIN_SHOT_FRAMES = 15
TRACK_IOU = 0.5
NUM_FAILED_DET = 25
MIN_TRACK = 100
MIN_FACE_SIZE = 100.0
CROP_SCALE = 0.40
CROP_PADDING = 110  # gray around the frame
MEDIAN_FRAMES = 13


def as_json() -> dict[str, Any]:
    """The constants as a result records them."""
    return {
        "version": CONSTANTS_VERSION,
        "fps": FPS,
        "rate": RATE,
        "vshift": VSHIFT,
        "window_frames": WINDOW_FRAMES,
        "tail": TAIL,
        "detection_scale": DETECTION_SCALE,
        "detection_confidence": DETECTION_CONFIDENCE,
        "shot_threshold": SHOT_THRESHOLD,
        "min_shot_frames": MIN_SHOT_FRAMES,
        "track_iou": TRACK_IOU,
        "num_failed_det": NUM_FAILED_DET,
        "crop_scale": CROP_SCALE,
        "crop_padding": CROP_PADDING,
        "median_frames": MEDIAN_FRAMES,
    }
