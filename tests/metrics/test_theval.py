"""THEval's numbers written out frame by frame, silero-vad's own probabilities, and the family."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import WeightsMismatch, WeightsMissing
from lipbench.metrics.functional import theval
from lipbench.metrics.functional import voice_activity as voice

#: What the TorchScript program of silero-vad 6.0.0 gave for `sound()` with `made_weights()` in place of its numbers.
PUBLISHED = [0.448353, 0.415839, 0.414246, 0.445914, 0.507746]
SIZE = (192, 144)
T = 24


def made_weights() -> dict[str, torch.Tensor]:
    """Random numbers under the file's names; numpy's RandomState never changes its numbers."""
    shapes = {
        "_model.stft.forward_basis_buffer": (258, 1, 256),
        **{
            f"_model.encoder.{k}.reparam_conv.weight": s
            for k, s in enumerate([(128, 129, 3), (64, 128, 3), (64, 64, 3), (128, 64, 3)])
        },
        **{f"_model.encoder.{k}.reparam_conv.bias": (n,) for k, n in enumerate([128, 64, 64, 128])},
        "_model.decoder.rnn.weight_ih": (512, 128),
        "_model.decoder.rnn.weight_hh": (512, 128),
        "_model.decoder.rnn.bias_ih": (512,),
        "_model.decoder.rnn.bias_hh": (512,),
        "_model.decoder.decoder.2.weight": (1, 128, 1),
        "_model.decoder.decoder.2.bias": (1,),
    }
    draw, made = np.random.RandomState(0), {}
    for name, shape in shapes.items():
        values = 2 * draw.standard_normal(shape) / max(np.prod(shape[1:]), 16) ** 0.5
        made[name] = torch.from_numpy(values.astype(np.float32))
    return made


#: What librosa 0.11.0 says of `sound(T / 25) / 32768`: feature.rms(frame_length=800, hop_length=800). Importing it
#: compiles for half a minute.
LOUDNESS = (
    *(
        0.0608078539,
        0.212441668,
        0.243830457,
        0.1137174,
        0.165329814,
        0.254849851,
        0.165329784,
        0.113717429,
        0.243830472,
        0.212441668,
    ),
    *(
        0.086153321,
        0.212290227,
        0.243985087,
        0.113609262,
        0.165188238,
        0.25500524,
        0.165188238,
        0.113609254,
        0.243985102,
        0.193429247,
    ),
)


def sound(seconds: float = 0.15) -> np.ndarray:
    t = np.arange(int(16000 * seconds)) / 16000
    wave = np.sin(2 * np.pi * 220 * t) * np.sin(2 * np.pi * 3 * t) + 0.2 * np.sin(2 * np.pi * 1330 * t)
    return (wave * 12000).astype(np.int16)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The random network as if it were the pinned one."""
    torch.save(made_weights(), tmp_path / voice.FILE)
    monkeypatch.setattr(weights, "path", lambda name: {"silero-vad": tmp_path}[name])
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32)
    voice._load.cache_clear()
    yield tmp_path
    voice._load.cache_clear()


def mesh(seed: int = 0, lost: tuple[int, ...] = ()) -> np.ndarray:
    draw = np.random.default_rng(seed)
    points = draw.uniform(20, 120, (1, 478, 3)) + draw.normal(0, 2, (T, 478, 3))
    points[list(lost)] = np.nan
    return points


def test_probabilities_are_those_of_the_published_program(installed):
    found = voice.probabilities(voice.load(), sound())
    assert found == pytest.approx(PUBLISHED, abs=1e-5)
    del (state := made_weights())["_model.decoder.rnn.bias_hh"]
    torch.save(state, installed / voice.FILE)
    voice._load.cache_clear()
    with pytest.raises(WeightsMismatch, match="VoiceActivity"):
        voice.load()


@pytest.mark.parametrize(
    ("speech", "length", "want"),
    [  # of silero-vad's get_speech_timestamps
        ([0.9] * 7, 3584, []),  # shorter than 250 ms
        ([0.9] * 20 + [0.4] * 9 + [0.1] * 9, 19456, [(0, 15328)]),  # between the two limits nothing ends
        ([0.1] * 5 + [0.9] * 10 + [0.1] * 3 + [0.9] * 10, 14336, [(2080, 14336)]),  # 96 ms of silence
        ([0.9] * 10 + [0.1] * 5 + [0.9] * 10, 12800, [(0, 5600), (7200, 12800)]),
        ([0.9] * 9 + [0.1] * 6 + [0.9] * 3, 9200, [(0, 5088)]),  # the second is too short
    ],
)
def test_spans_follow_the_published_rule(speech, length, want):
    assert voice.spans(speech, length) == want


def test_lips_and_brows_are_the_scripts_formulas():
    points = mesh(lost=(3, 4))
    there = [p for p in points if np.isfinite(p).all()]
    vectors = []
    for p in there:
        lips = [np.array([p[i, 0] / SIZE[0] * 256, p[i, 1] / SIZE[1] * 256]) for i in theval.LIPS]
        vectors.append([np.linalg.norm(a - b) for a, b in combinations(lips, 2)])
    assert len(theval.LIPS) == 40
    assert theval.lip_dynamics(points, SIZE) == pytest.approx(np.mean(np.std(vectors, axis=0)), rel=1e-9)
    total, n, before = 0.0, 0, [None, None]
    for p in there:
        eyes = [p[eye, :2].mean(axis=0) for eye in theval.EYES]
        for side in (0, 1):
            raised = np.linalg.norm(p[theval.BROWS[side], :2].mean(axis=0) - eyes[side])
            raised /= np.linalg.norm(eyes[0] - eyes[1])
            if before[side] is not None:
                total, n = total + abs(raised - before[side]), n + 1
            before[side] = raised
    assert theval.eyebrow_dynamics(points) == pytest.approx(total / n, rel=1e-9)
    assert np.isnan(theval.lip_dynamics(np.full((3, 478, 3), np.nan), SIZE))
    assert np.isnan(theval.eyebrow_dynamics(points[:1]))


def test_sync_and_silence_are_the_scripts_formulas():
    points, wave = mesh(1, lost=(7,)), sound(T / 25)
    spoken = theval.speech_frames([(0, 3000), (10000, 12000)], T, 25)
    assert spoken.nonzero()[0].tolist() == [*range(6), *range(15, 21)]  # to 0.2 s, from 0.6 to 0.8 s
    gap, quiet = [], []
    for t in range(T):
        p = points[t] / [*SIZE, 1]
        upper, lower = (np.mean([p[i, 1] for i in row]) for row in (theval.UPPER, theval.LOWER))
        gap.append(abs(upper - lower) / abs(p[[362, 263], 0].mean() - p[[33, 133], 0].mean()))
        scale = np.linalg.norm((p[33] - p[263])[:2])
        quiet.append(np.mean([abs(p[u, 1] - p[o, 1]) for u, o in zip(theval.UPPER, theval.LOWER, strict=True)]) / scale)
    loud = np.interp(np.arange(T) / 25, 0.05 * np.arange(len(LOUDNESS)), LOUDNESS)
    chosen = [t for t in range(T) if spoken[t] and np.isfinite(gap[t])]
    one, other = (np.array([x[t] for t in chosen]) for x in (gap, loud))
    one, other = ((x - x.min()) / (x.max() - x.min() + 1e-8) for x in (one, other))
    assert theval.lip_sync(points, SIZE, wave, spoken, 25) == pytest.approx(np.abs(one - other).mean(), rel=1e-6)
    silent = [t for t in range(6, 15) if np.isfinite(quiet[t])]  # 21..23 are less than 0.3 s
    mean = np.mean([quiet[t] for t in silent])
    want = statistics.median(abs(quiet[t] - mean) for t in silent)
    assert theval.silent_lip_stability(points, SIZE, spoken, 25) == pytest.approx(want, rel=1e-9)
    nobody = np.zeros(T, bool)
    assert np.isnan(theval.lip_sync(points, SIZE, wave, nobody, 25))
    assert np.isnan(theval.silent_lip_stability(points, SIZE, ~nobody, 25))


def test_the_family(scene, face_track, points68, installed, monkeypatch):
    family = registry.load("metrics", "theval")
    assert family.on_request
    points = mesh(2).astype(np.float32)
    track = replace(face_track(np.stack([points68(80, 70)] * T)), landmarks=points)
    audio = media.write_wav(scene.folder / "a.wav", sound(T / 25))
    frames = np.repeat(scene.frames, 3, axis=0)
    pair = scene.pair(prediction=scene.video("p", frames), prediction_faces=scene.faces(track), audio=audio)
    monkeypatch.setattr(voice, "spans", lambda speech, length: [(0, 6400)])
    scores = family.score(pair)
    spoken = theval.speech_frames([(0, 6400)], T, 25)
    wave = media.read_audio(audio)
    assert scores["theval_lip_dynamics"].value == pytest.approx(theval.lip_dynamics(points, SIZE))
    assert scores["theval_lip_sync"].value == pytest.approx(theval.lip_sync(points, SIZE, wave, spoken, 25))
    assert scores["theval_silent_lip_stability"].extra["speech_frames"] == 11
    mute = family.score(replace(pair, audio=None))
    assert mute["theval_eyebrow_dynamics"].value == scores["theval_eyebrow_dynamics"].value
    assert mute["theval_lip_sync"].reason.startswith("no_audio: ")
    drawn = family.score(replace(pair, prediction_faces=scene.faces(scene.track, "drawn")))
    assert all(score.reason.startswith("unsupported: ") for score in drawn.values())
    nobody = family.score(replace(pair, prediction_faces=None, prediction_faces_reason="no_face: nobody"))
    assert {score.reason for score in nobody.values()} == {"no_face: nobody"}


def test_the_head_is_the_scripts_formula():
    draw = np.random.default_rng(3)
    angles, centers = draw.normal(0, 4, (9, 3)), draw.normal(100, 6, (9, 2))
    spread = np.mean([statistics.pstdev(a) for a in angles.T])
    change = np.mean([statistics.pvariance(list(np.diff(a))) for a in angles.T])
    moved = np.mean([statistics.pvariance(c) for c in centers.T])
    assert theval.head_motion_dynamics(angles, centers) == pytest.approx((spread * change + moved) ** 0.5, rel=1e-9)
    assert np.isnan(theval.head_motion_dynamics(angles[:2], centers[:2]))


def test_lips_and_brows_need_no_speech_detection(scene, face_track, points68, monkeypatch):
    def missing(name):
        raise WeightsMissing(f"{name} is missing", "", "get it")

    monkeypatch.setattr(weights, "path", missing)
    family = registry.load("metrics", "theval")
    (name,) = family.obstacles({})
    assert [family.hinders(name, m) for m in family.metrics] == [False, False, True, True]
    track = replace(face_track(np.stack([points68(80, 70)] * T)), landmarks=mesh(2).astype(np.float32))
    video = scene.video("p", np.repeat(scene.frames, 3, axis=0))
    scores = family.score(scene.pair(prediction=video, prediction_faces=scene.faces(track)))
    assert scores["theval_lip_dynamics"].value > 0
    assert scores["theval_lip_sync"].reason.startswith("weights_missing: ")
