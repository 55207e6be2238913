"""The published protocol: every number of it, in one place, and what a person may choose instead.

Results carry the numbers. Sources: joonson/syncnet_python `run_pipeline.py` and `SyncNetInstance.py`, scenedetect 0.5.1
`ContentDetector`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, model_validator

from lipbench.core import renames
from lipbench.core.metric import Options, parse_options

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


#: What a score with `codec: none` is spared, by protocol.
LOSSY = {"cropped": "one lossy re-encoding (JPEG)", "realvideo": "four lossy re-encodings (MPEG-4, JPEG, XVID, JPEG)"}
NO_MP3 = (
    "the sound does not go through the published route's MP3, which delays it by 1105 samples of its own rate and the "
    "pictures by the next whole number of frames"
)

#: What `codec` does, by it and the protocol, in words for `explain-score`.
CODED = {
    ("published", "cropped"): ("pictures through JPEG", "sound by swresample"),
    ("published", "realvideo"): (
        "pictures through MPEG-4, JPEG, XVID, JPEG",
        "sound through MP3, late",
        "sound by swresample",
    ),
    ("latentsync", "realvideo"): (
        "pictures through H.264, JPEG, MPEG-4, JPEG",
        "sound through AAC twice",
        "sound by swresample",
    ),
}


def without_effect(options: Mapping[str, Any], metric: str) -> set[str]:
    """Options of the family that do not matter to a metric, under the values of the others."""
    found = set() if metric == "lse_d_at_own" else {"own_offset"}
    if options.get("protocol") == "cropped":
        found |= {"boxes_from", "detector", "min_track", "min_face_size", "aggregate"}
    elif options.get("boxes_from") == "reference":
        found.add("detector")
    return found


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


class SyncOptions(Options):
    """Options of the sync family."""

    sync_model: str = Field(
        "syncnet_v2", description="A name that `lipbench list sync-models` shows, or a file with a SyncNet's weights."
    )
    protocol: Literal["realvideo", "cropped"] = Field(
        "realvideo",
        description="realvideo finds the face, tracks it and cuts it out as the published evaluation of real videos "
        "does; cropped squeezes the whole frame into the sync model's input, for videos of nothing but a face.",
    )
    boxes_from: Literal["reference", "prediction"] = Field(
        "reference",
        description="Where realvideo takes the face box from. reference: the undubbed video's face track, so that "
        "every method is scored on the same crop and a video is searched for faces once; prediction: a detector runs "
        "on the scored video, as published.",
    )
    detector: str = Field(
        "s3fd-syncnet", description="For boxes_from prediction: s3fd-syncnet (as published) or another face backend."
    )
    min_track: int = Field(
        MIN_TRACK, ge=0, description="A track counts with more detections than this (100: 101 frames, 4.04 s)."
    )
    min_face_size: float = Field(MIN_FACE_SIZE, ge=0, description="Smaller faces do not count, px.")
    aggregate: Literal["longest", "weighted", "best", "mean"] = Field(
        "longest",
        description="The clip's value when there are several tracks: of the longest, the mean by windows, of the "
        "track with the highest LSE-C, or the plain mean.",
    )
    codec: Literal["none", "published", "latentsync"] = Field(
        "none",
        description="published: frames and sound go through the codecs of the published route first (cropped: JPEG at "
        "200 kb/s; realvideo: MPEG-4 and JPEG, crops again, and MP3) and the sound through FFmpeg's resampler; "
        "latentsync: those of LatentSync's route, H.264 and AAC for MPEG-4 and MP3 (realvideo alone); none: they are "
        "scored as decoded.",
    )
    own_offset: int | None = Field(
        None,
        ge=-VSHIFT,
        le=VSHIFT,
        description="Frames at 25 fps by which the audio of the undubbed source leads its own image, for lse_d_at_own. "
        "`score` measures it where the reference has its own sound.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="float32 agrees with published numbers; bfloat16 is faster on CPUs that have it and does not.",
    )

    @model_validator(mode="before")
    @classmethod
    def _present_fields(cls, data: Any) -> Any:
        return renames.present_fields("the option", data)

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> SyncOptions:
        """Options from a run file.

        Raises:
            UsageError: an unknown name or value.
        """
        return cast(SyncOptions, parse_options(cls, options, "sync"))

    @model_validator(mode="after")
    def _latentsync_is_realvideo(self) -> SyncOptions:
        if self.codec == "latentsync" and self.protocol == "cropped":
            raise ValueError("codec latentsync is of protocol realvideo: choose codec published for cropped")
        return self

    @property
    def route(self) -> str:
        """Which of the routes of `codec` and `sound_codec`."""
        return "latentsync" if self.codec == "latentsync" else self.protocol

    @property
    def published_protocol(self) -> bool:
        """Whether such numbers may stand beside papers': all is as published."""
        return not self.deviations

    @property
    def deviations(self) -> tuple[str, ...]:
        """In what a score under these options differs from the published evaluation, one line each."""
        found = []
        if self.codec == "none":
            found.append(f"frames are scored as decoded, without the published route's {LOSSY[self.protocol]}")
            if self.protocol == "realvideo":
                found.append(NO_MP3)
        if self.codec == "latentsync":
            found.append("frames and sound go through LatentSync's codecs, H.264 and AAC in place of MPEG-4 and MP3")
        if self.protocol == "realvideo":
            if self.boxes_from == "reference":
                found.append("face boxes come from a face track handed in (in a run: of the undubbed video)")
            elif self.detector != "s3fd-syncnet":
                found.append(f"faces are detected by {self.detector}, not S3FD")
            if self.min_track != MIN_TRACK:
                found.append(f"min_track is {self.min_track}, not {MIN_TRACK}")
            if self.min_face_size != MIN_FACE_SIZE:
                found.append(f"min_face_size is {self.min_face_size:g} px, not {MIN_FACE_SIZE:g}")
        if self.precision != "float32":
            found.append(f"the network runs in {self.precision}")
        return tuple(found)
