"""The page's first sentences: who is ahead, how sure that is, what is missing and why."""

from __future__ import annotations

import pytest

from lipbench.reports.details import Details
from lipbench.reports.html import facts
from lipbench.reports.html.grid import headline
from lipbench.reports.html.verdict import banner
from lipbench.reports.leading import compact_ids


def told(runs, values, *, controls=(), metrics=None, lines=True, **more):
    """The banner of a run: `values` is method -> metric -> one value per clip."""
    cells, methods = [], []
    for label, own in values.items():
        kind = "control" if label in controls else "method"
        methods.append(runs.method(label, label.title(), kind))
        for i in range(max(len(v) for v in own.values())):
            scores = {
                name: v[i] if v[i] is not None else runs.score(None, "too_short: 3 frames") for name, v in own.items()
            }
            cells.append(runs.cell(label, f"clip{i}", "fr", scores, kind=kind))
    details = Details(runs.write(cells, methods, **({} if metrics is None else {"metrics": metrics}), **more))
    return banner(details, headline(details), None)


SURE = [1.0, 1.1, 1.2, 1.3, 1.2, 1.1, 1.0, 1.2]


def test_who_is_ahead_and_that_it_is_sure(runs):
    better, worse = SURE, [v + 1 + v / 10 for v in SURE]
    found = told(runs, {"ann": {"lse_d": better}, "bob": {"lse_d": worse}})
    assert found.title == "Ann follows the audio best: over 8 clips more than chance"
    assert found.lines[0].startswith("Lip sync, measured by LSE-D (lower is better): Ann 1.137, next Bob 2.251; a test")
    assert found.look == "plain"


def test_what_may_be_chance_is_said(runs):
    swapped = [v + (0.5 if i % 2 else -0.4) for i, v in enumerate(SURE)]
    found = told(runs, {"ann": {"lse_d": SURE}, "bob": {"lse_d": swapped}})
    assert found.title == "Ann follows the audio best; part of that may be chance over 8 clips"
    assert "not told apart from Bob" in found.lines[0]


def test_few_clips_are_a_hint(runs):
    found = told(runs, {"ann": {"lse_d": [1.0, 1.0]}, "bob": {"lse_d": [3.0, 3.0]}})
    assert found.title == "Ann follows the audio best; from 2 clips that is a hint, no proof"
    assert "told" not in found.lines[0]


def test_equal_numbers_have_no_leader(runs):
    found = told(runs, {"ann": {"lse_d": [1.0001]}, "bob": {"lse_d": [1.0002]}})
    assert found.title.startswith("Ann and Bob are even on lip sync")


def test_a_method_alone_leads_nobody(runs):
    found = told(runs, {"ann": {"lse_d": [1.0, 1.0]}, "bob": {"lse_d": [3.0, None]}})
    assert found.title == "Only Ann has numbers on every clip, so nobody is ahead"
    assert told(runs, {"ann": {"lse_d": [1.0]}}, controls=["ann"], name="b").title.startswith("Only reference rows")


def test_controls_are_the_scale_and_never_lead(runs):
    own = {"ann": {"lse_d": [7.0]}, "bob": {"lse_d": [8.0]}, "still": {"lse_d": [11.0]}, "truth": {"lse_d": [6.5]}}
    found = told(runs, own, controls=["still", "truth"])
    assert found.title.startswith("Ann follows")
    assert found.lines[0].endswith("For scale: Truth 6.500, Still 11.000")


def test_the_correct_video_is_asked_first(runs):
    """Against the source the whole picture counts, against the correct video the mouth."""
    one = {"psnr_full": [30.0], "psnr_mouth_truth": [20.0]}
    other = {"psnr_full": [20.0], "psnr_mouth_truth": [30.0]}
    found = told(runs, {"ann": one, "bob": other})
    assert found.title.startswith("Bob comes closest to the correct video")
    bare = told(runs, {"ann": {"psnr_full": [30.0]}, "bob": {"psnr_full": [20.0]}}, name="b")
    assert bare.title.startswith("Ann keeps the picture closest to the original")
    assert any(line.startswith("No correct video of these dubs is known") for line in bare.lines)


def test_missing_numbers_are_told_once_without_codes_and_folders(runs):
    details = Details(runs.example())
    lines = banner(details, headline(details), None).lines
    assert "Not measured: LSE-D: syncnet_v2 is not here; lipbench weights get syncnet_v2" in lines
    assert "1 of 20 videos are missing: 1 ran out of memory" in lines


def test_any_metric_that_hears_the_audio_is_lip_sync(runs):
    """The page knows no metric by name."""
    own = [runs.metric("warmth", "Warmth", "higher", needs=["audio"]), runs.metric("blur", "Blur", "lower")]
    found = told(runs, {"ann": {"warmth": [2.0], "blur": [1.0]}, "bob": {"warmth": [1.0], "blur": [2.0]}}, metrics=own)
    assert found.title.startswith("Ann follows the audio best and keeps the picture closest to the original")


def test_the_compact_table_has_three_of_each(runs):
    names = [f"s{i}" for i in range(5)] + [f"p{i}" for i in range(5)]
    own = [runs.metric(n, n, needs=["audio"] if n[0] == "s" else ["reference"]) for n in names]
    own[-1] = runs.metric("p4", "p4", needs=["truth"], region="mouth")
    assert compact_ids({spec["id"]: spec for spec in own}, names) == ["s0", "s1", "s2", "p4", "p0", "p1"]


@pytest.mark.parametrize("status", ["pending", "skipped"])
def test_a_run_that_goes_on_says_so(runs, status):
    cells = [runs.cell("ann", "x", "fr", {"lse_d": 1.0}), runs.cell("ann", "y", "fr", {}, status=status)]
    details = Details(runs.write(cells, [runs.method("ann")]))
    found = banner(details, headline(details), None)
    assert found.look == "warn"
    assert found.size.startswith("Not finished: 1 of 2 videos have all their numbers")
    assert "1 of 2 videos are missing: 1 not made yet" in found.lines


def test_nobody_leads_where_doing_nothing_is_as_good(runs):
    """Lip sync that a mouth without a word reaches as well is nobody's."""
    own = {"ann": {"lse_d": [9.4], "psnr_full": [30.0]}, "bob": {"lse_d": [9.5], "psnr_full": [20.0]}}
    idle = {"still-mouth": {"lse_d": [9.3], "psnr_full": [40.0]}}
    found = told(runs, own | idle, controls=["still-mouth"])
    assert found.title.startswith("No method beats Still-Mouth on lip sync, Ann keeps the picture closest")
    above = told(runs, own | {"still-mouth": {"lse_d": [11.0]}}, controls=["still-mouth"], name="b")
    assert above.title.startswith("Ann follows the audio best")


def test_a_label_keeps_its_case(runs):
    cells = [runs.cell(m, "x", "fr", {"lse_d": v}) for m, v in (("ann-v2", 1.0), ("bob", 2.0))]
    details = Details(runs.write(cells, [runs.method("ann-v2"), runs.method("bob")]))
    assert banner(details, ["lse_d"], None).title.startswith("ann-v2 follows")


def test_own_offsets_of_the_clips_are_told():
    def told(**offsets):
        clips = {name: {} if n is None else {"av_offset": n} for name, n in offsets.items()}
        return facts.own_offsets({"clips": clips})

    assert told(a=None) == facts.own_offsets({}) == ""
    assert told(a=-3, b=0, c=2, d=None) == "a −3, c +2; 1 in sync; 1 not known (+: the audio leads)"
    assert told(a=0) == "1 in sync (+: the audio leads)"
    assert told(**{f"c{i}": 1 for i in range(23)}).count("+1") == 20
