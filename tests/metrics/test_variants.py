"""Variants under their own names, each against an implementation of somebody else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lipbench.core.errors import TooShort, Unsupported, UsageError
from lipbench.metrics import (
    au_error,
    face_distance,
    frechet_distance,
    mouth_distance,
    mouth_opening_error,
    psnr_pooled,
    psnr_wrapped,
    ssim,
    ssim_gray,
    ssim_padded,
    ssim_uniform,
)
from lipbench.metrics.functional.action_units import LOWER, PARTS, UPPER, read_openface


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 61, 83, 3), dtype=np.uint8)
    sharp = np.stack([cv2.normalize(cv2.GaussianBlur(n, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX) for n in noise])
    soft = np.stack([cv2.GaussianBlur(n, (0, 0), 2) for n in sharp])
    return np.clip(soft + rng.normal(0, 6, soft.shape), 0, 255).astype(np.uint8), sharp


def test_ssim_uniform_is_skimages_default(pair):
    want = np.mean([structural_similarity(a, b, channel_axis=-1) for a, b in zip(*pair, strict=True)])
    assert ssim_uniform(*pair) == pytest.approx(want, abs=1e-9)
    with pytest.raises(Unsupported):
        ssim_uniform(*(frames[:, :6] for frames in pair))


def test_ssim_gray_is_skimages_of_the_gray_images(pair):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    grays = [[cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames] for frames in pair]
    want = np.mean([structural_similarity(a, b, **options) for a, b in zip(*grays, strict=True)])
    assert ssim_gray(*pair) == pytest.approx(want, abs=1e-9)


def test_ssim_padded_is_the_convolution_with_zeros_around(pair):
    x = torch.arange(11, dtype=torch.float64) - 5
    g = torch.exp(-(x**2) / (2 * 1.5**2))
    g = g / g.sum()
    window = (g[:, None] * g[None])[None, None].repeat(3, 1, 1, 1)
    a, b = (torch.from_numpy(frames).permute(0, 3, 1, 2).double() / 255 for frames in pair)

    def mean(image):
        return F.conv2d(image, window, padding=5, groups=3)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    want = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    assert ssim_padded(*pair) == pytest.approx(float(want.mean()), abs=1e-9)


def test_no_two_of_them_are_the_same_number(pair):
    found = [f(*pair) for f in (ssim, ssim_uniform, ssim_gray, ssim_padded)]
    assert min(abs(a - b) for i, a in enumerate(found) for b in found[:i]) > 1e-4


def test_pooled_psnr_is_that_of_all_pixels(pair):
    a, b = (frames.copy() for frames in pair)
    b[0] = a[0]
    assert psnr_pooled(a, b) == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-9)
    assert psnr_pooled(a, a) == float("inf")


def test_wrapped_psnr_is_what_uint8_makes_of_it(pair):
    def of(original, compressed):
        error = np.mean((original - compressed) ** 2)  # in uint8
        return 100 if error == 0 else 20 * np.log10(255 / np.sqrt(error))

    assert psnr_wrapped(*pair) == pytest.approx(np.mean([of(b, a) for a, b in zip(*pair, strict=True)]), abs=1e-9)
    assert psnr_wrapped(pair[0], pair[0]) == 100
    assert psnr_wrapped(pair[0], pair[0] ^ 16) == 100  # 16 squared is 0 in uint8


def test_face_distance_and_opening(points68):
    a = np.stack([points68(60, 60, gap=4), points68(60, 60, gap=10)])
    b = np.stack([points68(70, 50, gap=4), points68(70, 50, gap=4)])
    assert face_distance(a, b)[0] == pytest.approx(0, abs=1e-9)
    mine, theirs = (p[1] - p[1].mean(0) for p in (a, b))
    assert face_distance(a, b)[1] == pytest.approx(np.sqrt(((mine - theirs) ** 2).sum(1)).mean())
    assert face_distance(a, b)[1] < mouth_distance(a, b)[1]
    assert mouth_opening_error(a, b) == pytest.approx([0, 6])


def test_frechet_distance_is_that_of_the_matrix_root():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(12, 12))
    a, b = rng.normal(size=(300, 12)) @ mix, rng.normal(1, 2, size=(200, 12))
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(ca @ cb).real
    want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-9)
    assert frechet_distance(a[:5], b[:5]) == pytest.approx(frechet_distance(b[:5], a[:5]))  # of low rank
    with pytest.raises(TooShort):
        frechet_distance(a[:1], b)
    with pytest.raises(UsageError):
        frechet_distance(a, b[:, :5])


def test_au_error_of_openface_files(tmp_path):
    rng = np.random.default_rng(0)
    units = [*UPPER, *LOWER]
    values = {name: rng.uniform(0, 5, (6, len(units))) for name in ("a", "b")}
    for name, rows in values.items():
        lines = ["frame, " + ", ".join(f"{unit}_r" for unit in units) + ", AU12_c"]
        lines += [f"{i}, " + ", ".join(map(str, row)) + ", 1.0" for i, row in enumerate(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    a, b = (read_openface(tmp_path / f"{name}.csv") for name in values)
    squares = ((values["a"] - values["b"]) ** 2).mean(axis=0)
    assert au_error(a, b, "upper") == pytest.approx(squares[: len(UPPER)].sum())
    assert au_error(a, b) == pytest.approx(squares[len(UPPER) :].sum())
    assert au_error(a, b, "all") == pytest.approx(squares.sum())
    assert set(PARTS["all"]) == set(units)
    (tmp_path / "other.csv").write_text("x, y\n1, 2\n")
    for wrong in (lambda: read_openface(tmp_path / "other.csv"), lambda: read_openface(tmp_path / "none.csv")):
        with pytest.raises(UsageError):
            wrong()
    with pytest.raises(UsageError, match="AU12"):
        au_error({k: v for k, v in a.items() if k != "AU12"}, b)
