"""What every registered metric family keeps to, built-in or not."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench.core import registry, weights
from lipbench.core.contract import family_faults
from lipbench.core.errors import UsageError
from lipbench.core.keys import canonical
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score
from lipbench.metrics.frame_metric import FrameMetric, FrameOptions
from lipbench.reports.golden import check, pairs

FAMILIES = [registry.load("metrics", name) for name in registry.names("metrics")]
SPECS = [pytest.param(spec, family, id=spec.id) for family in FAMILIES for spec in family.metrics]
#: What `needs` names -> fields of a Pair.
FIELDS = {
    "reference": "reference",
    "truth": "truth",
    "audio": "audio",
    "faces": "faces",
    "prediction_faces": "prediction_faces",
    "truth_faces": "truth_faces",
    "mesh": "prediction_annotations",
}
NEEDS = [
    pytest.param(family, need, id=f"{family.id}-{need}")
    for family in FAMILIES
    for need in sorted(family.needs(check.OPTIONS.get(family.id, {})))
]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
each_metric = pytest.mark.parametrize(("spec", "family"), SPECS)


@each_metric
def test_a_metric_says_what_is_good(spec: MetricSpec, family: MetricFamily) -> None:
    """The report's legend has no gaps."""
    assert spec.good


@pytest.fixture(autouse=True)
def packaged_weights_alone(tmp_path, monkeypatch):
    """The same on every machine: where somebody fetched VGG-16, its LPIPS would take minutes."""
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> Pair:
    return pairs.make(tmp_path_factory.mktemp("golden"), "drawn")


def scored(family: MetricFamily, pair: Pair) -> dict[str, Score]:
    return dict(family.score(pairs.for_family(pair, check.OPTIONS.get(family.id, {}))))


@each_family
def test_keeps_the_contract(family):
    assert list(family_faults(family, family.id)) == []


@each_metric
def test_a_spec_says_everything(spec, family):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", spec.id)
    assert spec.version.isdigit()
    for field in ("title", "source", "convention", "description"):
        assert len(getattr(spec, field)) > 2, field
    assert spec.description[0].isupper()
    assert spec.description.endswith(".")
    assert spec.region in ("full", "face", "mouth", "")
    assert spec.aggregate in ("mean_over_frames", "whole_clip")
    assert 0 <= spec.tolerance < 1
    assert 0 <= spec.decimals <= 4
    # A convention starts like the id, or tells in words what is computed.
    assert spec.convention.split("[")[0] in spec.id or " " in spec.convention or "pearson" in spec.convention
    assert all(weights.entry(name) for name in spec.weights)


def test_no_two_metrics_share_a_name():
    ids = [spec.id for family in FAMILIES for spec in family.metrics]
    assert len(set(ids)) == len(ids)
    titles = [spec.title for family in FAMILIES for spec in family.metrics]
    assert len(set(titles)) == len(titles)


@each_family
def test_options_have_descriptions_and_defaults(family):
    for name, field in family.options.model_fields.items():
        assert field.description, f"{family.id}.{name} has no description"
        assert field.description.endswith("."), name
    with pytest.raises(UsageError, match="no_such_option") as caught:
        family.parse({"no_such_option": 1})
    assert caught.value.what
    assert caught.value.why
    assert caught.value.fix


@each_family
def test_identity_can_be_part_of_a_key(family):
    canonical(dict(family.identity(family.parse({}).model_dump(mode="json"))))


@each_family
def test_without_any_input_every_metric_has_a_reason(family, golden):
    nothing = dict.fromkeys([*FIELDS.values(), "truth_annotations"])
    scores = scored(family, replace(golden, **nothing, faces_reason="no_face: nobody"))
    assert set(scores) == {spec.id for spec in family.metrics}
    alone = {spec.id for spec in family.metrics if not spec.needs}  # what looks at the video and nothing else
    for name, score in scores.items():
        if name in alone and score.value is not None:
            continue
        assert score.value is None, name
        assert re.match(r"[a-z_]+: \S", score.reason), (name, score.reason)


@pytest.mark.parametrize(("family", "need"), NEEDS)
def test_what_a_metric_needs_is_what_it_cannot_do_without(family, need, golden):
    missing = {FIELDS[need]: None}
    if need == "truth":  # what is found in it goes with it
        missing |= {"truth_annotations": None, "truth_faces": None}
    scores = scored(family, replace(golden, **missing))
    for spec in family.metrics:
        if need in spec.needs:
            assert scores[spec.id].value is None, spec.id
            assert scores[spec.id].reason, spec.id
        else:
            assert scores[spec.id].value is None or not math.isnan(scores[spec.id].value)


@each_family
def test_a_full_pair_is_measured_frame_by_frame(family, golden):
    others = family.obstacles(family.parse(check.OPTIONS.get(family.id, {})).model_dump(mode="json"))
    scores = scored(family, golden)
    for spec in family.metrics:
        score = scores[spec.id]
        if any(not weights.available(name) for name in spec.weights):
            assert score.value is None
            assert score.reason.startswith(("weights_missing: ", "unsupported: ")), score.reason
            continue
        if score.reason is not None and score.reason.startswith("unsupported: the face backend 'drawn'"):  # 68 points
            continue
        if score.value is None and any(error.one_line() in score.reason for error in others.values()):
            continue
        if score.value is None and score.reason.startswith("not_asked: "):  # measured where an option says so
            assert f"{family.id}." in score.reason
            continue
        assert score.value is not None, score.reason
        assert 0 < score.n_valid <= score.n_total
        assert score.per_frame is None or np.asarray(score.per_frame).ndim == 1


class Good(FrameMetric):
    id = "good"
    metrics = (MetricSpec("good_full", "1", "Good", "", "lower", frozenset({"reference"}), "full"),)

    def frame(self, prediction, reference, box):
        return 1.0


class Loose:
    """Everything that the engine calls, but no MetricFamily."""

    id, metrics, score = "loose", Good.metrics, Good.score


class Unfinished(MetricFamily):
    id, metrics = "unfinished", Good.metrics


class Shapeless(FrameMetric):
    id, metrics = "shapeless", Good.metrics


class Misnamed(Good):
    id = "other"


class BadColumn(Good):
    id, metrics = "bad-column", (replace(Good.metrics[0], id="Good-Full"),)


class Empty(Good):
    id, metrics = "empty", ()


class Hungry(Good):
    id, metrics = "hungry", (replace(Good.metrics[0], needs=frozenset({"refrence"})),)


class Untyped(Good):
    id, options = "untyped", {"size": 3}


@pytest.mark.parametrize(
    ("name", "family", "why"),
    [
        ("loose", Loose, "Loose is no subclass of lipbench.core.metric.MetricFamily"),
        ("unfinished", Unfinished, "does not implement score"),
        ("shapeless", Shapeless, "defines neither `frame` nor `measure`"),
        ("misnamed", Misnamed, "its id is 'other', it is registered as 'misnamed'"),
        ("bad-column", BadColumn, "'Good-Full' is not lower case with underscores"),
        ("empty", Empty, "not a tuple of at least one MetricSpec"),
        ("hungry", Hungry, "needs frozenset"),
        ("untyped", Untyped, "not a subclass of lipbench.core.metric.Options"),
        ("text", "a text", "it is a str"),
    ],
)
def test_a_plug_in_that_breaks_the_contract_is_refused_when_loaded(name, family, why, monkeypatch):
    monkeypatch.setattr(registry, "sources", lambda kind: {name: f"{__name__}:it"})
    monkeypatch.setattr(registry.importlib, "import_module", lambda module: type("module", (), {"it": family}))
    with pytest.raises(UsageError, match=re.escape(why)) as caught:
        registry.load.__wrapped__("metrics", name)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert name in lines[0]
    assert "CONTRIBUTING" in lines[2]


def test_a_good_plug_in_is_loaded_and_can_be_aligned(monkeypatch):
    monkeypatch.setattr(registry, "sources", lambda kind: {"good": f"{__name__}:it"})
    monkeypatch.setattr(registry.importlib, "import_module", lambda module: type("module", (), {"it": Good}))
    family = registry.load.__wrapped__("metrics", "good")
    assert family.parse({}) == FrameOptions(align=False, decoder="exact")
    with pytest.raises(UsageError, match="known options: align, decoder"):
        family.parse({"size": 3})


def test_no_module_hides_a_public_function():
    import lipbench.metrics as metrics

    files = {path.stem for path in Path(metrics.__file__).parent.iterdir()}
    functions = {name for name in metrics.__all__ if callable(getattr(metrics, name))}
    assert {"psnr", "ssim", "lpips"} <= functions
    assert files.isdisjoint(functions)
