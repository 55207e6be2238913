"""Those of THEval's numbers that landmarks and a sound give, on request: lips, brows, lip sync, lips in silence.

THEval compares each with the same number of the real video: the row of the source or the truth says what is to be
reached. Its other four need networks: TOPIQ and MUSIQ of pyiqa for aesthetics, mouth and face, and FaceXFormer's pose
for the head, whose arithmetic on poses that you have is `functional.theval.head_motion_dynamics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.faces.track import FaceTrack

_SOURCE = "Newbyl/THEval cfe23fe; speech by silero-vad 6.0.0"
_NO_FACE = "no_face: no face track of the prediction"


def _spec(
    name: str, title: str, needs: frozenset[str], region: str, decimals: int, what: str, words: str
) -> MetricSpec:
    return MetricSpec(
        f"theval_{name}",
        "1",
        title,
        "",
        "none",  # THEval: near the real video's, neither high nor low
        needs,
        region,
        "whole_clip",
        tolerance=1e-3,
        decimals=decimals,
        headline=False,
        good="as in the row of the source or of a correct video",
        source=_SOURCE,
        weights=("silero-vad",) if "audio" in needs else (),
        convention=f"theval_{name}[{words}]",
        description=what,
    )


_FACES, _SOUND = frozenset({"prediction_faces"}), frozenset({"prediction_faces", "audio"})
_DYNAMICS = _spec(
    "lip_dynamics",
    "Lip dynamics",
    _FACES,
    "mouth",
    3,
    "How much the shape of the lips changes over the clip.",
    "40 mesh points,deviation of all distances,256 px",
)
_BROWS = _spec(
    "eyebrow_dynamics",
    "Eyebrow dynamics",
    _FACES,
    "face",
    4,
    "How much the brows move from frame to frame.",
    "mesh,mean absolute change of brow to eye,/eyes",
)
_SYNC = _spec(
    "lip_sync",
    "Lip sync (THEval)",
    _SOUND,
    "mouth",
    3,
    "How far the opening of the mouth is from the loudness while somebody speaks.",
    "mesh,0..1 of opening against 0..1 of rms,speech frames",
)
_STILL = _spec(
    "silent_lip_stability",
    "Silent lip motion",
    _SOUND,
    "mouth",
    4,
    "How much the lips move while nobody speaks.",
    "mesh,median deviation of the opening,/eyes,silences of 0.3 s",
)


class ThevalFamily(MetricFamily):
    """theval_lip_dynamics, theval_eyebrow_dynamics, theval_lip_sync, theval_silent_lip_stability."""

    id = "theval"
    on_request = True
    metrics = (_DYNAMICS, _BROWS, _SYNC, _STILL)

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"silero-vad": weights.sha256("silero-vad")}

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        from lipbench.metrics.functional import voice_activity  # loads torch

        try:
            if pair.prediction_faces is None:
                return none_for(self.metrics, pair.prediction_faces_reason or _NO_FACE)
            track = FaceTrack.load(pair.prediction_faces)
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        if track.landmarks is None or track.landmarks.shape[1] < 468:
            why = f"unsupported: the face backend {track.backend!r} finds no mesh of 468 points"
            return none_for(self.metrics, why)
        try:
            net = voice_activity.load()
            sound = media.read_audio(pair.audio or pair.prediction, voice_activity.RATE)
            spans = voice_activity.spans(voice_activity.probabilities(net, sound), len(sound))
        except LipbenchError as error:
            said = Score(None, f"{error.reason}: {error.one_line()}")
            return {**_of_face(track), _SYNC.id: said, _STILL.id: said}
        return {**_of_face(track), **_of_sound(track, sound, spans, pair.fps)}


def _score(value: float, track: FaceTrack, why: str, extra: Mapping[str, Any] | None = None) -> Score:
    n = int(track.found.sum())
    if np.isnan(value):
        return Score(None, why, None, 0, len(track), extra or {})
    return Score(value, None, None, n, len(track), extra or {})


def _of_face(track: FaceTrack) -> dict[str, Score]:
    from lipbench.metrics.functional import theval

    assert track.landmarks is not None
    size = (track.width, track.height)
    why = "no_face: no two frames have a face"
    return {
        _DYNAMICS.id: _score(theval.lip_dynamics(track.landmarks, size), track, why),
        _BROWS.id: _score(theval.eyebrow_dynamics(track.landmarks), track, why),
    }


def _of_sound(track: FaceTrack, sound: Any, spans: list[tuple[int, int]], fps: float) -> dict[str, Score]:
    from lipbench.metrics.functional import theval

    assert track.landmarks is not None
    size, mesh = (track.width, track.height), track.landmarks
    spoken = theval.speech_frames(spans, len(track), fps)
    facts = {"speech_frames": int(spoken.sum())}
    unspoken = "unsupported: less than a tenth of the frames is speech with a face"
    loud = "unsupported: nobody is silent for 0.3 s with a face in sight"
    return {
        _SYNC.id: _score(theval.lip_sync(mesh, size, sound, spoken, fps), track, unspoken, facts),
        _STILL.id: _score(theval.silent_lip_stability(mesh, size, spoken, fps), track, loud, facts),
    }
