"""lipbench compare on run directories that the engine's writers made."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lipbench.cli.compare import main
from lipbench.core.errors import NothingComparable, UnknownName, UsageError
from lipbench.reports.compare import compare
from lipbench.reports.compare_writers import as_json, text
from lipbench.reports.statistics import mean_interval, sign_flip


def damped(number, values):
    values["lse_d"] += 1.0 + 0.05 * number


def marks(found, method="ours"):
    return {d.line.metric: d.mark for d in found.deltas if d.methods[1] == method}


def test_equal_runs(bench):
    found = compare(bench.write("a", {"ours": bench.cells()}), bench.write("b", {"ours": bench.cells()}))
    assert set(marks(found).values()) == {" "}
    assert found.worst == []
    assert "Clips that got worse" not in text(found)


def test_a_change_with_its_interval(bench):
    found = compare(bench.write("a", {"ours": bench.cells(8)}), bench.write("b", {"ours": bench.cells(8, damped)}))
    (delta,) = [d for d in found.deltas if d.line.metric == "lse_d"]
    steps = [1.0 + 0.05 * i for i in range(8)]
    assert delta.mark == "-"
    assert delta.paired.mean == pytest.approx(sum(steps) / 8)
    expected = mean_interval(steps)
    assert (delta.paired.interval.low, delta.paired.interval.high) == pytest.approx((expected.low, expected.high))
    assert delta.paired.p == sign_flip(steps) == 2 / 2**8
    assert delta.p_all == pytest.approx(2 / 2**8)  # metrics that move with it cost it nothing
    assert [c.clip for c in delta.clips] == [f"clip{i}" for i in reversed(range(8))]
    assert [c.clip for _, c in found.worst] == [c.clip for c in delta.clips]
    assert compare(*(bench.folder / n for n in "ba")).deltas[0].mark == "+"


def test_a_certain_change_is_called_so_beside_other_metrics(bench):
    """6 clips, every one worse by ten tolerances: no number of metrics beside it makes that chance."""
    a, b = bench.write("a", {"ours": bench.cells()}), bench.write("b", {"ours": bench.cells(6, damped)})
    found = compare(a, b)
    assert marks(found)["lse_d"] == "-"
    assert found.remarks == ()


def changed(metric, steps):
    def change(number, values):
        values[metric] += steps[number]

    return change


@pytest.mark.parametrize(
    ("steps", "mark"),
    [
        ([0.11, 0.3, 0.02, 0.25, 0.4, 0.2], "-"),  # all six patterns agree
        ([0.9, 0.0, 0.0, 0.0, 0.0, 0.0], "~"),  # one clip: its interval reaches beyond 0
        ([0.05, -0.05, 0.05, 0.0, -0.05, 0.05], " "),
        ([0.02, -0.01, 0.01, -0.02, 0.0, 0.01], " "),
    ],
)
def test_marks_say_what_the_test_says(bench, steps, mark):
    a = bench.write("a", {"ours": bench.cells()})
    b = bench.write("b", {"ours": bench.cells(6, changed("lse_d", steps))})
    assert marks(compare(a, b, metrics=["lse_d"]))["lse_d"] == mark


def test_sure_alone_but_not_among_many_has_its_own_mark(bench):
    steps = [0.02, 0.55, 0.3, 0.42, -0.05, 0.6]
    a = bench.write("a", {"ours": bench.cells()})
    b = bench.write("b", {"ours": bench.cells(6, changed("lse_d", steps))})
    found = compare(a, b, metrics=["lse_d"])
    (delta,) = found.deltas
    assert delta.paired.interval.low > 0
    assert delta.p_all > 0.05
    assert delta.mark == "?"


def test_few_clips_are_told_first(bench):
    found = compare(bench.write("a", {"ours": bench.cells(5)}), bench.write("b", {"ours": bench.cells(5)}))
    lines = text(found).splitlines()
    assert lines[2].startswith("- 5 clips are few:")
    assert next(i for i, line in enumerate(lines) if line.startswith("|")) > 2


def test_bca_from_20_clips_on(bench):
    found = compare(
        bench.write("a", {"ours": bench.cells(20, languages=("fr",))}),
        bench.write("b", {"ours": bench.cells(20, damped, languages=("fr",))}),
        metrics=["lse_d"],
    )
    low, high = as_json(found)["deltas"][0]["bca"]
    assert low < found.deltas[0].paired.mean < high
    assert "BCa" in text(found)


def test_other_sync_model(bench):
    a = bench.write("a", {"ours": bench.cells()})
    b = bench.write("b", {"ours": bench.cells()}, sync_model="model-b")
    found = compare(a, b)
    assert {m for m, mark in marks(found).items() if mark == "x"} == {"lse_d", "lse_c", "av_offset", "lse_d_at_zero"}
    assert marks(found)["ssim_full"] == " "
    assert (
        "x ours lse_d, ours lse_c, ours av_offset, ours lse_d_at_zero: the sync model differs: name is model-a in a, "
        in text(found)
    )


def test_other_version_and_inputs(bench):
    a = bench.write("a", {"ours": bench.cells()})
    assert marks(compare(a, bench.write("b", {"ours": bench.cells()}, ssim="2")))["ssim_full"] == "x"
    c = bench.write("c", {"ours": bench.cells()}, sounds={"clip0/fr": "other"})
    assert set(marks(compare(a, c)).values()) == {"x"}


def test_clips_of_one_side_are_left_out_and_named(bench):
    found = compare(bench.write("a", {"ours": bench.cells(6)}), bench.write("b", {"ours": bench.cells(4)}))
    assert found.deltas[0].paired.n == 4
    assert found.deltas[0].reason == "left out, only one side has a value: clip4, clip5"
    assert found.deltas[0].reason in text(found)


def test_lost_and_new(bench):
    def without(number, values):
        values["ssim_full"] = "unsupported: too small"

    a, b = bench.write("a", {"ours": bench.cells()}), bench.write("b", {"ours": bench.cells(6, without)})
    assert marks(compare(a, b))["ssim_full"] == "!"
    assert marks(compare(b, a))["ssim_full"] == "*"


def test_methods_of_one_run(bench):
    root = bench.write("a", {"ours": bench.cells(), "theirs": bench.cells(6, damped)})
    found = compare(root, root, methods=["ours=theirs"], metrics=["lse_d"])
    assert found.names == ("A", "B")
    assert found.deltas[0].methods == ("ours", "theirs")
    assert found.deltas[0].mark == "-"


def test_single_methods_with_other_labels_are_a_pair(bench):
    found = compare(bench.write("a", {"v1": bench.cells()}), bench.write("b", {"v2": bench.cells()}))
    assert {d.methods for d in found.deltas} == {("v1", "v2")}


def test_seeds_beside(bench):
    a = bench.write("a", {"ours": bench.cells()}, seeds=(0, 1, 2))
    found = compare(a, bench.write("b", {"ours": bench.cells()}))
    assert found.deltas[0].seeds[0].n == 3
    assert "ours lse_d: 3 seeds in a, sd over seeds 0.0000 (not part of the intervals)" in text(found)


def test_errors(bench):
    a = bench.write("a", {"ours": bench.cells(2), "x": bench.cells(2)})
    b = bench.write("b", {"theirs": bench.cells(2), "y": bench.cells(2)})
    with pytest.raises(NothingComparable, match="no method in common"):
        compare(a, b)
    with pytest.raises(UnknownName):
        compare(a, b, methods=["ours=nobody"])
    with pytest.raises(UnknownName):
        compare(a, a, metrics=["nope"])
    with pytest.raises(UsageError, match="not a run directory"):
        compare(a, bench.folder / "nowhere")


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_command(bench):
    a, b = bench.write("a", {"ours": bench.cells(7)}), bench.write("b", {"ours": bench.cells(7, damped)})
    result = call(a, b, "--worst", 2)
    assert result.exit_code == 0, result.output
    assert "Clips that got worse, worst first (2 of 7):" in result.output
    data = json.loads(call(a, b, "--json").output)
    assert data["deltas"][0]["metric"] == "lse_d"
    assert data["deltas"][0]["clips"][0] == {"clip": "clip6", "a": 8.2, "b": 9.5, "delta": pytest.approx(1.3)}
    assert call(a, b, "-o", bench.folder / "out" / "c.md").output == ""
    assert (bench.folder / "out" / "c.md").read_text().startswith("**a → b**: sync model model-a")


def test_command_with_nothing_comparable(bench):
    a = bench.write("a", {"ours": bench.cells(2)})
    b = bench.write("b", {"ours": bench.cells(2)}, sounds={"clip0/fr": "other"})
    result = call(a, b)
    assert isinstance(result.exception, NothingComparable)
    assert "the inputs of clip0/fr differ" in result.output
