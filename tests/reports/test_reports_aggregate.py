"""The clip is the unit: dubs, languages, seeds inside it first; a mean only over complete clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.reports.aggregate import clip_values, means
from lipbench.reports.frame import COLUMNS, load_run


def one(runs, cells, by=(), **key):
    """The only Mean of psnr_full for method a."""
    labels = list(dict.fromkeys(c["method"] for c in cells))
    data = load_run(runs.write(cells, [runs.method(x) for x in labels])).frame
    found = means(clip_values(data, by), by)
    return found[("a", *key.values(), "psnr_full")]


def test_dubs_then_languages_then_seeds_then_clips(runs):
    def cell(clip, language, dub, seed, value):
        return runs.cell("a", clip, language, {"psnr_full": value}, dub=dub, seed=seed)

    cells = [
        cell("k", "fr", "k1", 0, 10.0),
        cell("k", "fr", "k2", 0, 20.0),
        cell("k", "de", "k3", 0, 30.0),
        cell("k", "fr", "k1", 1, 12.0),
        cell("k", "fr", "k2", 1, 22.0),
        cell("k", "de", "k3", 1, 32.0),
        cell("o", "fr", "o1", 0, 1.0),
        cell("o", "fr", "o1", 1, 3.0),
    ]
    found = one(runs, cells)
    # k: seed 0 is ((10+20)/2 + 30)/2 = 22.5, seed 1 is 24.5; o: 2.0. Rows would give 16.25.
    assert found.mean == pytest.approx((23.5 + 2.0) / 2)
    assert (found.n, found.total, found.reasons) == (2, 2, ())
    assert (found.n_valid, found.n_total) == (400, 400)


def test_one_missing_language_makes_the_clip_incomplete(runs):
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": 10.0}),
        runs.cell("a", "k", "de", {"psnr_full": None}),
        runs.cell("a", "o", "fr", {"psnr_full": 20.0}),
        runs.cell("a", "o", "de", {"psnr_full": 20.0}),
    ]
    found = one(runs, cells)
    assert (found.mean, found.n, found.total, found.reason) == (None, 1, 2, "no reason")


def test_a_method_that_lacks_cells_is_incomplete(runs):
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": 10.0}),
        runs.cell("b", "k", "fr", {"psnr_full": 10.0}),
        runs.cell("b", "k", "de", {"psnr_full": 10.0}),
        runs.cell("b", "o", "de", {"psnr_full": 10.0}),
    ]
    found = one(runs, cells)
    assert (found.mean, found.n, found.total, found.reason) == (None, 0, 2, "some cells are not in the run")


def test_by_language_counts_the_clips_of_the_language(runs):
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": 10.0}),
        runs.cell("a", "k", "de", {"psnr_full": 99.0}),
        runs.cell("a", "o", "fr", {"psnr_full": 20.0}),
    ]
    data = load_run(runs.write(cells, [runs.method("a")])).frame
    found = means(clip_values(data, ["language"]), ["language"])
    assert (found[("a", "fr", "psnr_full")].mean, found[("a", "fr", "psnr_full")].total) == (15.0, 2)
    assert (found[("a", "de", "psnr_full")].mean, found[("a", "de", "psnr_full")].total) == (99.0, 1)


def test_train_lengths_are_never_averaged(runs):
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": 10.0}, seconds=3.0),
        runs.cell("a", "k", "fr", {"psnr_full": 20.0}),
    ]
    data = load_run(runs.write(cells, [runs.method("a")])).frame
    with pytest.raises(ValueError, match="train length"):
        clip_values(data)
    found = means(clip_values(data, ["train_seconds"]), ["train_seconds"])
    assert found[("a", 3.0, "psnr_full")].mean == 10.0
    assert found[("a", None, "psnr_full")].mean == 20.0


def test_infinity(runs):
    cells = [runs.cell("a", "k", "fr", {"psnr_full": "inf"}), runs.cell("a", "o", "fr", {"psnr_full": 20.0})]
    assert one(runs, cells).mean == math.inf


def test_opposite_infinities_have_no_mean(runs):
    cells = [runs.cell("a", c, "fr", {"psnr_full": v}) for c, v in [("k", "inf"), ("o", "-inf")]]
    found = one(runs, cells)
    assert found.mean is None
    assert found.reason == "the clips' values are +inf and -inf"


def test_reasons_most_frequent_first_and_cut(runs):
    texts = ["rare", "often\nbroken", "often\nbroken", "x", "y", "z"]
    cells = [runs.cell("a", f"k{i}", "fr", {"psnr_full": runs.score(None, t)}) for i, t in enumerate(texts)]
    assert one(runs, cells).reasons == ("often broken", "rare", "x", "and 2 more reasons")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=6), st.randoms())
def test_balanced_designs_agree_with_numpy_in_any_order(values, rng):
    import pandas as pd

    rows = [
        ("r", "a", "a", "method", f"c{i}", language, f"c{i}{language}", math.nan, 0, "ok", "m", v, None, 1, 1, "1")
        for i, clip in enumerate(values)
        for language, v in zip("xyz", clip, strict=True)
    ]
    rng.shuffle(rows)
    data = pd.DataFrame(rows, columns=list(COLUMNS))
    found = means(clip_values(data))[("a", "m")]
    assert found.n == found.total == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
