"""What FFmpeg's filters say, against the definitions written out, and the families around them."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
import scipy.ndimage as nd

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import Unsupported
from lipbench.metrics import siti_per_frame, vif_per_frame, xpsnr_per_frame
from lipbench.metrics.functional import libavfilter


def picture(seed: int = 0) -> np.ndarray:
    noise = np.random.RandomState(seed).standard_normal((144, 192, 3)) * 20
    slope = np.add.outer(np.arange(144), np.arange(192))[..., None] * [0.5, 0.4, 0.3]
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def luma(frame: np.ndarray) -> np.ndarray:
    yuv = av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p").to_ndarray()
    return yuv[: len(frame)].astype(float)


def vif_written_out(prediction: np.ndarray, reference: np.ndarray) -> list[float]:
    """Pixel-domain VIF of Sheikh and Bovik: Gaussian windows of 17, 9, 5, 3 px, noise variance 2."""
    a, b = luma(reference), luma(prediction)
    found = []
    for scale in range(4):
        half = 2 ** (3 - scale)
        taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * ((2 * half + 1) / 5) ** 2))
        taps /= taps.sum()

        def mean(x, taps=taps):
            return nd.correlate1d(nd.correlate1d(x, taps, 0, mode="mirror"), taps, 1, mode="mirror")

        if scale:
            a, b = mean(a)[::2, ::2], mean(b)[::2, ::2]
        var_a, var_b = (np.maximum(mean(x * x) - mean(x) ** 2, 0) for x in (a, b))
        joint = mean(a * b) - mean(a) * mean(b)
        gain = np.maximum(joint / (var_a + 1e-10), 0)
        rest = np.maximum(np.where(joint < 0, var_b, var_b - gain * joint), 1e-10)
        found.append(np.log2(1 + gain**2 * var_a / (rest + 2)).sum() / np.log2(1 + var_a / 2).sum())
    return found


def test_vif_is_the_published_ratio():
    reference = picture()
    prediction = cv2.GaussianBlur(reference, (0, 0), 0.8)
    # Borders are continued otherwise.
    found = vif_per_frame(prediction, reference)[0]
    assert found == pytest.approx(vif_written_out(prediction, reference), abs=0.01)
    assert found != pytest.approx(vif_written_out(reference, prediction), abs=0.05)  # which is which matters
    assert vif_per_frame(reference, reference)[0] == pytest.approx([1] * 4)


def test_xpsnr_of_a_flat_picture_is_psnr_less_the_weight_of_no_texture():
    flat = np.full((2, 80, 80, 3), 90, np.uint8)
    error = luma(flat[0] + 3)[0, 0] - luma(flat[0])[0, 0]
    share = 80 * 80 / (3840 * 2160)
    weight = np.sqrt(16 * 2**7 / np.sqrt(share)) / 4  # activity of the whole over the least of a block, 8 bits
    want = 20 * np.log10(255 / error) - 10 * np.log10(weight)
    # The first frame moves, against black.
    assert xpsnr_per_frame(flat, flat + 3)[1] == pytest.approx(want, abs=1e-4)
    assert np.isposinf(xpsnr_per_frame(flat, flat)).all()


def test_xpsnr_forgives_errors_in_texture():
    textured, flat = np.stack([picture()] * 2), np.full((2, 144, 192, 3), 90, np.uint8)
    error = np.random.RandomState(7).randint(-6, 7, textured.shape)
    levels = [xpsnr_per_frame(np.clip(x + error, 0, 255).astype(np.uint8), x)[1] for x in (textured, flat)]
    assert levels[0] > levels[1] + 6


def test_si_and_ti_are_those_of_p910():
    frames = np.stack([picture(0), picture(1)])
    full = [np.rint((luma(frame) - 16) * 255 / 219) for frame in frames]
    texture = [np.hypot(nd.sobel(y, 0), nd.sobel(y, 1))[1:-1, 1:-1].std() for y in full]
    found = siti_per_frame(frames)
    assert found[:, 0] == pytest.approx(texture, abs=0.05)
    assert found[1, 1] == pytest.approx((full[1] - full[0]).std(), abs=0.05)


def test_what_the_filters_cannot_do_is_refused_before_they_are_asked(monkeypatch):
    small = np.zeros((63, 200, 3), np.uint8)
    for function in (xpsnr_per_frame, vif_per_frame):
        with pytest.raises(Unsupported, match="64 x 64 px"):
            function(small, small)
    assert np.isfinite(xpsnr_per_frame(picture()[:64, :65], picture(1)[:64, :65])).all()  # odd, and the smallest
    monkeypatch.setattr(av.filter, "filters_available", {"scale"})
    with pytest.raises(Unsupported, match="no filter vif") as caught:
        vif_per_frame(picture(), picture())
    assert "pip install" in caught.value.fix


def test_families_are_the_functions(scene):
    changed = np.stack([cv2.GaussianBlur(frame, (0, 0), 1) for frame in scene.frames])
    changed[3] = scene.frames[3]
    pair = scene.pair(prediction=scene.video("p", changed), reference=scene.video("r"))
    mine, theirs = (media.load_frames(path) for path in (pair.prediction, pair.reference))
    vif, siti = vif_per_frame(mine, theirs), siti_per_frame(mine)
    scores = {k: v for name in ("xpsnr", "vif", "siti") for k, v in registry.load("metrics", name).score(pair).items()}
    for k in range(4):
        assert scores[f"vif_scale{k}_full"].value == pytest.approx(vif[:, k].mean())
    assert scores["vif_scale0_full_truth"].reason.startswith("no_truth: ")
    levels = xpsnr_per_frame(mine, theirs)
    assert np.isposinf(levels[3])
    assert scores["xpsnr_full"].value == pytest.approx(levels[np.isfinite(levels)].mean())
    assert scores["xpsnr_full"].reason.startswith("1 of 8 frames equal ")
    assert scores["si_full"].value == pytest.approx(siti[:, 0].mean())
    assert scores["ti_full"].value == pytest.approx(siti[1:, 1].mean())
    one = registry.load("metrics", "siti").score(scene.pair(prediction=scene.video("o", changed[:1])))
    assert one["ti_full"].reason.startswith("too_short: ")


@pytest.mark.parametrize("name", ["xpsnr", "vif", "siti"])
def test_without_the_filter_there_is_a_reason(scene, monkeypatch, name):
    monkeypatch.setattr(av.filter, "filters_available", {"scale"})
    family = registry.load("metrics", name)
    pair = scene.pair(prediction=scene.video("p"), reference=scene.video("r"))
    assert list(family.obstacles({})) == [f"the filter {name}"]
    for score in family.score(pair).values():
        assert score.value is None
    assert any("pip install" in score.reason for score in family.score(pair).values())
    assert family.identity({}) == {"libavfilter": libavfilter.version()}
