"""LMD of landmark files: against ER-NeRF's formula written out, in every form of file, and every reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench.core import registry
from lipbench.core.keys import sha256_file

N = 8


@pytest.fixture
def pair(scene):
    videos = {name: scene.video(name, scene.frames + k) for k, name in enumerate(("prediction", "reference", "truth"))}
    return scene.pair(**videos)


def points(seed):
    return np.random.default_rng(seed).uniform(20, 120, (N, 68, 2)).astype(np.float32)


def lmd(a, b, rows):
    """One frame after the other, as a script would."""
    total = 0.0
    for mine, theirs in zip(a.astype(float)[:, rows], b.astype(float)[:, rows], strict=True):
        off = (mine - mine.mean(0)) - (theirs - theirs.mean(0))
        total += np.sqrt((off**2).sum(1)).mean(0)
    return total / len(a)


def test_it_is_the_scripts_formula_on_given_points(pair, tmp_path):
    family = registry.load("metrics", "landmark-files")
    assert family.on_request
    a, b, c = (points(seed) for seed in range(3))
    digits = [sha256_file(v)[:12] for v in (pair.prediction, pair.reference, pair.truth)]
    np.save(tmp_path / f"{digits[0]}.npy", a)
    np.save(tmp_path / f"{digits[1]}.npy", np.concatenate([b, np.zeros((N, 68, 1), np.float32)], axis=2))
    (tmp_path / digits[2]).mkdir()
    for t in range(N):
        np.savetxt(tmp_path / digits[2] / f"{t}.lms", c[t])
    scores = family.score(replace(pair, options={"folder": str(tmp_path)}))
    for other, suffix in ((b, ""), (c, "_truth")):
        assert scores[f"lmd_given{suffix}"].value == pytest.approx(lmd(a, other, slice(48, 68)), rel=1e-6)
        assert scores[f"flmd_given{suffix}"].value == pytest.approx(lmd(a, other, slice(0, 68)), rel=1e-6)
        gaps = [np.linalg.norm(p[:, [61, 62, 63]] - p[:, [67, 66, 65]], axis=2).mean(axis=1) for p in (a, other)]
        want = np.abs(gaps[0] - gaps[1]).mean()
        assert scores[f"mouth_opening_error_given{suffix}"].value == pytest.approx(want, rel=1e-5)
    before = family.identity({"folder": str(tmp_path)})
    np.savetxt(tmp_path / digits[2] / "0.lms", c[1])
    assert family.identity({"folder": str(tmp_path)}) != before


def test_what_is_missing_is_said(pair, tmp_path):
    family = registry.load("metrics", "landmark-files")
    assert all("landmark-files.folder" in score.reason for score in family.score(pair).values())
    assert set(family.obstacles({})) == {"the option landmark-files.folder"}
    for name, seed, n in (("a", 0, N), ("b", 1, N - 3)):
        np.save(tmp_path / f"{name}.npy", points(seed)[:n])
    named = {"prediction": str(tmp_path / "a.npy"), "reference": str(tmp_path / "b.npy")}
    scores = family.score(replace(pair, options=named))
    assert scores["lmd_given"].reason.startswith("length_mismatch: ")
    assert scores["lmd_given_truth"].reason.startswith("not_asked: ")
    gone = family.score(replace(pair, options={**named, "reference": "/no/such.npy"}))
    assert gone["lmd_given"].reason.startswith("no_file: ")
    np.save(tmp_path / "b.npy", points(1)[:, :5])
    assert family.score(replace(pair, options=named))["flmd_given"].reason.startswith("bad_media: ")
