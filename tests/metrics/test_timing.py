"""Frames lost or added at the start: found, said beside every number, put right on request; HDR and tags likewise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipbench import media
from lipbench.metrics import regions, timing
from lipbench.metrics.image import ImageFamily
from lipbench.metrics.landmarks import LandmarkFamily
from lipbench.metrics.temporal import TemporalFamily

rng = np.random.default_rng(0)
N = 24
#: A picture that wanders: (N, 144, 192, 3).
WALK = np.stack([np.kron(rng.integers(40, 216, (18, 24, 3)), np.ones((8, 8, 1))).astype(np.uint8)] * N)
WALK = np.stack([np.roll(picture, (3 * t, 5 * t), (0, 1)) for t, picture in enumerate(WALK)])
SMALL = WALK[:, ::2, ::2].mean(-1).astype(np.uint8)


@pytest.mark.parametrize("k", [-5, -2, -1, 1, 3, 5])
def test_a_shift_is_found(k: int) -> None:
    found = timing.best_shift(SMALL[5 + k : N - 5 + k], SMALL[5 : N - 5])
    assert found == timing.Shift(k, math.inf)
    noisy = np.clip(SMALL[5 + k : N - 5 + k] + rng.normal(0, 6, SMALL[10:].shape), 0, 255).astype(np.uint8)
    again = timing.best_shift(noisy, SMALL[5 : N - 5])
    assert again is not None
    assert again.frames == k
    assert 1 < again.gain_db < 30


def test_none_is_found_where_there_is_none() -> None:
    assert timing.best_shift(SMALL, SMALL) is None
    assert timing.best_shift(np.clip(SMALL + rng.normal(0, 9, SMALL.shape), 0, 255).astype(np.uint8), SMALL) is None
    assert timing.best_shift(SMALL[:1].repeat(9, 0), SMALL[:1].repeat(9, 0)) is None
    assert timing.best_shift(SMALL[:3], SMALL[:3]) is None
    assert timing.best_shift(SMALL, SMALL[:, 1:]) is None
    # less than a dB better is not clearly better
    other = rng.normal(0, 40, SMALL.shape)
    mixed = np.clip(0.5 * SMALL + 0.5 * np.roll(SMALL, -1, 0) + other, 0, 255).astype(np.uint8)
    found = timing.best_shift(mixed, SMALL)
    assert found is None or found.gain_db > timing.GAIN


@pytest.mark.parametrize(("k", "at"), [(1, 10), (-2, 12), (3, 11)])
def test_a_shift_that_sets_in_on_the_way_is_found(k: int, at: int) -> None:
    index = np.clip([t if t < at else t + k for t in range(N)], 0, N - 1)
    found = timing.best_shift(SMALL[index], SMALL)
    assert found is not None
    assert (found.frames, found.start) == (k, at)
    assert found.words("the source").startswith(f"from frame {at} on the video runs {abs(k)} frame")


def test_words() -> None:
    assert timing.Shift(1, 9.0).words("the source") == "the video runs 1 frame ahead of the source"
    assert timing.Shift(-3, 9.0).words("the source") == "the video runs 3 frames behind the source"


@pytest.fixture
def shifted(scene, points68, face_track):
    """A function: the scene's pair whose prediction shows frame t + k of the reference at t."""

    def make(k: int, **options):
        frames, n = WALK, N
        index = np.clip(np.arange(n) + k, 0, n - 1)[: n - max(k, 0)]
        points = np.stack([points68(96 + 0.3 * t, 70, gap=4 + 6 * rng.random()) for t in range(n)])
        track = face_track(points)
        return scene.pair(
            prediction=scene.video("p", frames[index]),
            reference=scene.video("r", frames),
            faces=scene.faces(track),
            prediction_faces=scene.faces(track.take(list(index)), "mine"),
            options=options,
        )

    return make


@pytest.mark.parametrize(("k", "way"), [(1, "1 frame ahead of"), (-2, "2 frames behind")])
def test_pictures_are_remarked_and_aligned(shifted, k: int, way: str) -> None:
    plain = ImageFamily().score(shifted(k))
    psnr = plain["psnr_full"]
    assert psnr.value is not None
    assert psnr.value < 25
    for name in ("psnr_full", "ssim_full", "psnr_mouth"):
        assert f"the video runs {way} the undubbed source: psnr_full is then inf dB" in str(plain[name].reason), name
        assert plain[name].extra["shift"] == {"frames": k, "thumbnail_gain_db": math.inf, "aligned": False}
        assert plain[name].extra["remarks"][0]["short"].startswith(f"the video runs {way}")
    put_right = ImageFamily().score(shifted(k, align=True))
    assert put_right["psnr_full"].value == math.inf
    # The boxes follow the reference's frames as well: every frame that has a partner is measured.
    assert put_right["psnr_mouth"].value == math.inf
    assert put_right["ssim_mouth"].value == 1
    assert put_right["psnr_full"].n_valid == put_right["psnr_full"].n_total == N - abs(k)
    per_frame = put_right["psnr_full"].per_frame
    assert per_frame is not None
    assert np.isnan(per_frame).tolist() == [t < -k for t in range(N - max(k, 0))]
    assert "compared at that shift" in str(put_right["psnr_full"].reason)


@pytest.mark.parametrize("k", [1, -2])
def test_changes_and_landmarks_are_remarked_and_aligned(shifted, k: int) -> None:
    for family, name in ((TemporalFamily(), "tde_mouth"), (LandmarkFamily(), "mld_px")):
        plain, put_right = family.score(shifted(k))[name], family.score(shifted(k, align=True))[name]
        assert plain.value is not None
        assert put_right.value is not None
        assert plain.value > 0.2
        assert put_right.value < 1e-6
        assert ("ahead of" if k > 0 else "behind") in str(plain.reason)
        assert put_right.extra["shift"]["aligned"]


def test_frames_lost_on_the_way_are_said_and_nothing_is_moved(scene) -> None:
    index = np.clip([t if t < 11 else t + 1 for t in range(N)], 0, N - 1)
    pair = scene.pair(prediction=scene.video("p", WALK[index]), reference=scene.video("r", WALK))
    said = "from frame 11 on the video runs 1 frame ahead of the undubbed source"
    plain = ImageFamily().score(pair)["psnr_full"]
    assert plain.reason is not None
    assert plain.reason.endswith(said)
    assert plain.extra["shift"]["start"] == 11
    pair = scene.pair(prediction=pair.prediction, reference=pair.reference, options={"align": True})
    again = ImageFamily().score(pair)["psnr_full"]
    assert (again.value, again.reason) == (plain.value, plain.reason)


def test_lost_frames_explain_a_difference_in_length(shifted) -> None:
    for family, name in ((ImageFamily(), "psnr_full"), (TemporalFamily(), "tde_mouth"), (LandmarkFamily(), "mld")):
        plain, put_right = family.score(shifted(4))[name], family.score(shifted(4, align=True))[name]
        assert plain.value is None
        assert str(plain.reason).startswith("length_mismatch: prediction has 20 frames, reference 24; the video runs 4")
        assert put_right.value is not None
        assert put_right.n_total == N - 4 - (name == "tde_mouth")


def test_nothing_is_said_without_a_shift(shifted) -> None:
    for family in (ImageFamily(), TemporalFamily(), LandmarkFamily()):
        for align in (False, True):
            for score in family.score(shifted(0, align=align)).values():
                assert "shift" not in score.extra
                assert "runs" not in str(score.reason)


def test_hdr_is_refused_for_its_comparison_alone(scene) -> None:
    sdr = scene.video("sdr", WALK[:6])
    hdr = media.write_video(scene.folder / "h.mp4", WALK[:6], 25, lossless=True, like=_hdr(scene.folder))
    scores = ImageFamily().score(scene.pair(prediction=sdr, reference=hdr, truth=sdr))
    assert str(scores["psnr_full"].reason).startswith("color_mismatch: the prediction is SDR, the reference HDR (PQ)")
    assert scores["psnr_full"].value is None
    assert scores["psnr_full_truth"].value == math.inf
    both = ImageFamily().score(scene.pair(prediction=hdr, reference=hdr))
    assert both["psnr_full"].value == math.inf


def _hdr(folder):
    import av

    path = folder / "like.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0", "x264-params": "transfer=smpte2084"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_shifts_and_boxes_are_found_once_for_all_families(shifted, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    for module, name in ((timing, "best_shift"), (regions, "from_track")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, real=real, name=name: found.append(name) or real(*args))
    pair = shifted(1)
    for family in (ImageFamily(), TemporalFamily(), LandmarkFamily()):
        family.score(pair)
    assert sorted(found) == ["best_shift", "from_track"]
    ImageFamily().score(shifted(1, align=True))  # other files
    assert sorted(found) == ["best_shift"] * 2 + ["from_track"] * 2
