"""The sync model on landmarks: measures, log-mels, similarities, and what the packaged weights tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import lipbench
from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import NoFace, TooShort, UsageError
from lipbench.core.metric import Pair
from lipbench.datasets.annotations import Annotations
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.landmark import LandmarkSyncFamily, mouth, score, sound
from lipbench.metrics.sync.landmark.score import score_track
from lipbench.metrics.sync.landmark.similarity import belief, credited, curve, offset, similarities

CLIP = Path(lipbench.__file__).parent / "datasets" / "demo" / "clips" / "demo-en"


@pytest.fixture(scope="module")
def talk() -> tuple[FaceTrack, np.ndarray]:
    """The packaged English clip: 8 s of true landmarks with depth, and its sound."""
    return Annotations.load(CLIP / "annotations_en.npz").face_track(), media.read_audio(CLIP / "demo-en.mp4", 16000)


# -- the mouth --------------------------------------------------------------------------------------------------------


def test_where_the_head_is_does_not_change_the_measures(talk):
    points = talk[0].landmarks[::20].astype(np.float64)
    before = mouth.measures(points)
    turn = Rotation.from_euler("YXZ", [25, -10, 8], degrees=True).as_matrix()
    np.testing.assert_allclose(mouth.measures(1.7 * points @ turn.T + [40, -30, 5]), before, atol=1e-5)
    opened = points.copy()
    opened[:, [65, 66, 67], 1] += 5
    assert (mouth.measures(opened)[:, 0] > before[:, 0] + 0.02).all()


def test_a_track_without_depth_is_turned_in_the_plane_alone(talk):
    points = talk[0].landmarks[::20].astype(np.float64) * [1, 1, 0]
    turn = Rotation.from_euler("Z", 20, degrees=True).as_matrix()
    before, after = mouth.measures(points), mouth.measures(points @ turn.T)
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert 0.2 < before[:, 2].mean() < 1.0  # a mouth is a part of the distance of the eyes wide


def test_other_rates_are_brought_to_25_by_time():
    ramp = np.linspace(0, 2, 61)[:, None] * np.ones((1, 12))  # 30 fps: one per second
    ramp[10:13] = np.nan
    rows = mouth.at_25(ramp, 30.0)
    assert rows.shape == (50, 12)
    np.testing.assert_allclose(rows[:, 0], np.arange(50) / 25, atol=1e-6)
    with pytest.raises(NoFace):
        mouth.at_25(np.full((20, 12), np.nan), 25.0)


def test_tracks_that_cannot_be_measured_say_why(talk):
    track = talk[0]
    with pytest.raises(NoFace, match="boxes only"):
        mouth.of_track(replace(track, landmarks=None))
    boxes, landmarks = track.boxes.copy(), track.landmarks.copy()
    boxes[:60], landmarks[:60] = np.nan, np.nan
    with pytest.raises(NoFace, match="30%"):
        mouth.of_track(replace(track, boxes=boxes, landmarks=landmarks))


# -- the sound --------------------------------------------------------------------------------------------------------


def test_log_mels_are_where_and_what_the_sound_is():
    n = 16000
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(n) / 16000)).astype(np.int16)
    tone[: n // 2] = 0
    bands = sound.log_mel(tone)
    assert bands.shape == (100, 40)
    loud = bands.mean(1)
    assert loud[:49].max() < loud[51:].min()
    peaks = np.fft.rfftfreq(512, 1 / 16000)[sound.filters().argmax(0)]
    assert abs(peaks[bands[70].argmax()] - 1000) < 100  # filters are about 100 Hz apart there


# -- similarities -----------------------------------------------------------------------------------------------------


def embeddings(n: int = 120) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(n, 48))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_audio_that_lags_is_found_where_it_is(lag):
    mouths = embeddings()
    rows = similarities(mouths, np.roll(mouths, lag, axis=0))
    found = offset(belief(curve(rows), len(rows), np.array([5.0, 0.5])))
    assert found.frames == -lag
    assert found.low <= -lag <= found.high
    assert found.confidence > 0.9


def test_partners_that_do_not_exist_count_nowhere():
    rows = similarities(embeddings(20), embeddings(20))
    assert np.isnan(rows[0, 14])
    assert np.isfinite(rows[0, 15:30]).all()
    means = curve(rows)
    assert np.isnan(means[[0, 30]]).all()  # 5 frames
    assert means[15] == pytest.approx(1.0)
    assert belief(means, 20, np.array([5.0, 0.5]))[0] == 0


def test_more_frames_make_surer_and_chance_makes_unsure():
    means = np.zeros(31)
    means[15] = 0.1
    few, many = (offset(belief(means, n, np.array([5.0, 0.5]))) for n in (15, 400))
    assert few.confidence < many.confidence
    assert few.high - few.low > many.high - many.low
    flat = offset(belief(np.zeros(31), 400, np.array([5.0, 0.5])))
    assert flat.confidence < 0.12
    assert flat.high - flat.low >= 28


def test_a_peak_no_higher_than_chance_earns_no_credit():
    credit = score.load().credit.numpy()
    told = offset(belief(0.3 * np.eye(31)[12], 100, np.array([5.0, 0.5])))
    assert told.frames == 3
    high, low = (credited(told, height * np.eye(31)[12], 100, credit) for height in (0.5, 0.2))
    assert high.confidence > 0.9
    assert low.confidence < 0.1
    assert (high.frames, high.low, high.high, high.given) == (told.frames, told.low, told.high, told.given)
    # what chance reaches falls with the number of frames
    longer = [credited(told, 0.38 * np.eye(31)[12], n, credit).confidence for n in (15, 60, 300)]
    assert longer == sorted(longer)
    assert longer[0] < 0.5 < longer[2]


# -- the packaged weights ---------------------------------------------------------------------------------------------


def test_the_weights_are_small():
    assert weights.path("landmark-sync").stat().st_size < 1_000_000


def test_a_clip_and_its_own_sound_fit(talk):
    found = score_track(*talk)
    assert abs(found.offset.frames) <= 1
    assert found.knows
    assert found.remark is None
    assert found.offset.confidence > 0.95
    assert found.offset.low <= 0 <= found.offset.high
    assert [w.n for w in found.windows][2] >= 1
    assert found.windows[1].same >= 0.9
    other = score_track(talk[0], media.read_audio(CLIP / "fr.flac", 16000))
    assert other.d > found.d + 0.1
    assert other.gain < 0.6 * found.gain
    assert other.clearness < 0.5 * found.clearness
    assert other.offset.confidence < 0.2
    assert other.remark is not None
    assert np.nanmean(found.per_frame) == pytest.approx(found.d, abs=1e-6)


def test_a_delay_is_found_and_taken_off(talk):
    track, audio = talk
    late = np.concatenate([np.zeros(5 * 640, np.int16), audio])
    here, there = score_track(track, late), score_track(track, late, at=-5)
    assert here.offset.frames == there.offset.frames
    assert here.offset.frames == score_track(track, audio).offset.frames - 5
    assert there.d < here.d - 0.1
    assert there.d == pytest.approx(score_track(track, audio).d, abs=0.05)


def test_damped_lips_are_ranked(talk):
    rows = mouth.of_track(talk[0])
    mean = rows.mean(0)
    gains = [score.score_mouth(mean + f * (rows - mean), talk[1]).gain for f in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0.5
    assert gains[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_short_clip_does_not_pretend_to_know(talk):
    track, audio = talk
    with pytest.raises(TooShort):
        score_track(track, audio[: 34 * 640])
    short = score_track(track, audio[: 45 * 640])
    assert short.windows[2].n == 0
    assert short.windows[2].same is None
    assert short.offset.confidence <= score_track(track, audio).offset.confidence


def pair_of(tmp_path: Path, track: FaceTrack | None, audio: np.ndarray, **options: object) -> Pair:
    wav = media.write_wav(tmp_path / "dub.wav", audio)
    faces = None if track is None else track.save(tmp_path / "faces.npz")
    return Pair(
        CLIP / "demo-en.mp4", None, None, wav, None, "", faces, None, 25.0, tmp_path, options,
        prediction_faces_reason="no_face: nobody there",
    )  # fmt: skip


def test_the_family_measures_and_says_what_is_missing(tmp_path, talk):
    track, audio = talk
    late = np.concatenate([np.zeros(3 * 640, np.int16), audio])
    family = LandmarkSyncFamily()
    plain = family.score(pair_of(tmp_path, track, late))
    at_own = family.score(pair_of(tmp_path, track, late, own_offset=-3))
    assert set(plain) == {spec.id for spec in family.metrics}
    assert plain["sync_offset"].value == at_own["sync_offset"].value
    assert at_own["sync_d"].value < plain["sync_d"].value
    assert at_own["sync_gain"].value > plain["sync_gain"].value
    assert plain["sync_offset"].extra["interval"][0] <= plain["sync_offset"].value
    assert plain["sync_d"].extra["sync_model"] == "landmarks"
    assert plain["sync_agreement"].value is None
    assert "agree_with" in plain["sync_agreement"].reason
    lost = family.score(pair_of(tmp_path, None, audio))
    assert {s.reason for s in lost.values()} == {"no_face: nobody there"}
    quiet = family.score(pair_of(tmp_path, track, np.zeros_like(audio)))
    assert quiet["sync_d"].value is None
    assert quiet["sync_d"].reason.startswith("silent")
    with pytest.raises(UsageError):
        family.score(pair_of(tmp_path, track, audio, own_offset=40))


def test_two_sync_models_are_compared_when_asked(tmp_path, talk):
    track, audio = talk
    family = LandmarkSyncFamily()
    options = {"agree_with": "demo"}
    assert family.needs(options) >= {"faces", "prediction_faces"}
    assert "faces" not in family.needs({})
    assert "syncnet-demo" in family.weights(options)
    pair = replace(pair_of(tmp_path, track, audio, **options), faces=tmp_path / "faces.npz")
    agreement = family.score(pair)["sync_agreement"]
    assert abs(agreement.value) <= 1
    assert agreement.extra["agree_with"] == "demo"
