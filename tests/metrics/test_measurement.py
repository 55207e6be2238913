"""Several families in one pass over the frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.metric import Score
from lipbench.metrics.functional.psnr import frame_psnr
from lipbench.metrics.measurement import measure_all
from lipbench.metrics.pair_reader import PairReader


@pytest.fixture
def passes(monkeypatch):
    """How often videos were read."""
    found = []
    read = PairReader.__iter__
    monkeypatch.setattr(PairReader, "__iter__", lambda self: found.append(1) or read(self))
    return found


@pytest.fixture
def families(installed):
    return [registry.load("metrics", name) for name in ("image", "lpips", "temporal")]


def same(a: dict[str, Score], b: dict[str, Score]) -> bool:
    return set(a) == set(b) and all(
        (a[n].value, a[n].reason, a[n].n_valid, a[n].n_total, a[n].extra)
        == (b[n].value, b[n].reason, b[n].n_valid, b[n].n_total, b[n].extra)
        and np.array_equal(a[n].per_frame, b[n].per_frame, equal_nan=True)
        if a[n].per_frame is not None
        else a[n].per_frame == b[n].per_frame
        for n in a
    )


def pair_of(scene, **fields):
    noise = np.random.default_rng(0).normal(0, 20, scene.frames.shape)
    changed = np.clip(scene.frames + noise, 0, 255).astype(np.uint8)
    given = {"prediction": scene.video("p", changed), "reference": scene.video("r"), "faces": scene.faces()}
    return scene.pair(**{**given, **fields})


def test_each_family_gets_what_it_gets_alone_from_one_reading(scene, families, passes):
    pair = pair_of(scene, truth=scene.video("t", scene.frames[::-1]))
    alone = [family.score(pair) for family in families]
    assert len(passes) == 3
    assert all(score.value is not None for scores in alone for score in scores.values())
    passes.clear()
    together = measure_all([(family, pair) for family in families])
    assert len(passes) == 1
    for mine, theirs in zip(together, alone, strict=True):
        assert same(mine, theirs)


def test_options_of_one_family_leave_the_others_alone(scene, families, passes):
    pair = pair_of(scene)
    image, lpips, _ = families
    sampled = replace(pair, options={"every": 3})
    both = measure_all([(image, pair), (lpips, sampled)])
    assert len(passes) == 1
    assert same(both[1], lpips.score(sampled))
    assert both[1]["lpips_full"].n_valid == 3
    assert both[0]["psnr_full"].n_valid == 8


def test_other_videos_and_other_shifts_are_other_passes(scene, families, passes):
    shifted = scene.video("late", np.concatenate([scene.frames[2:], scene.frames[-1:].repeat(2, 0)]))
    late = pair_of(scene, prediction=shifted)
    image, _, temporal = families
    aligned = replace(late, options={"align": True})
    found = measure_all([(image, aligned), (temporal, late), (temporal, pair_of(scene))])
    # One more: what psnr_full would be at the shift belongs to no family that aligns.
    assert len(passes) == 3
    assert found[0]["psnr_full"].value > 60
    assert same(found[1], temporal.score(late))


def test_a_family_that_cannot_begin_or_sees_no_box_does_not_spoil_the_others(scene, families, passes, monkeypatch):
    pair = pair_of(scene, faces=None, faces_reason="no_face: nobody")
    image, lpips, temporal = families
    monkeypatch.setattr(type(lpips), "begin", missing)
    found = measure_all([(lpips, pair), (temporal, pair), (image, pair)])
    assert len(passes) == 1
    assert {score.reason.partition(":")[0] for score in found[0].values()} == {"weights_missing"}
    assert {found[1]["tde_mouth"].reason, found[1]["tde_mouth_truth"].reason} == {
        "no_face: nobody",
        "no_truth: no truth video: only generated clips have one",
    }
    assert found[2]["psnr_full"].value is not None
    assert found[2]["psnr_face"].reason == "no_face: nobody"


def missing(*args, **options):
    from lipbench.core.errors import WeightsMissing

    raise WeightsMissing("no weights", "none", "get some")


def test_another_decoder_is_another_pass(scene, families, passes):
    pair = pair_of(scene)
    image, _, temporal = families
    found = measure_all([(image, replace(pair, options={"decoder": "opencv"})), (temporal, pair), (image, pair)])
    assert len(passes) == 2
    assert same(found[1], temporal.score(pair))
    assert same(found[2], image.score(pair))
    frames = [list(media.read_frames(path, decoder="opencv")) for path in (pair.prediction, pair.reference)]
    wanted = np.mean([frame_psnr(a, b) for a, b in zip(*frames, strict=True)])
    assert found[0]["psnr_full"].value == pytest.approx(wanted, abs=1e-9)
    assert found[0]["psnr_full"].value != pytest.approx(found[2]["psnr_full"].value, abs=1e-4)
