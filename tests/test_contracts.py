"""Every registered method keeps the contract; what does not is refused when it is loaded, with a clear error."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

import lipbench
from lipbench.core import registry, specs, weights
from lipbench.core.contract import checked_method, faults
from lipbench.core.errors import UsageError
from lipbench.core.method import DubJob, FitJob, Job, Method, MethodSpec, Outputs, Params, PrepareJob
from lipbench.core.renames import RenameWarning
from lipbench.engine.config import MethodEntry, RunFile

METHODS = registry.names("methods")
OWN = [name for name in METHODS if registry.method_spec(name).implementation]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_keeps_the_contract(name: str) -> None:
    method = registry.load("methods", name)
    assert list(faults(method, name)) == []
    assert method.spec == registry.method_spec(name)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_are_documented_and_have_defaults_that_hold(name: str) -> None:
    params = registry.method_spec(name).params
    for field, info in params.model_fields.items():
        assert info.description, f"{field} has no description"
        assert info.is_required() or info.get_default(call_default_factory=True) is not PydanticUndefined
    required = {field for field, info in params.model_fields.items() if info.is_required()}
    assert required <= {"folder", "file"}
    if not required:
        assert params.model_validate(params().model_dump()) == params()


@pytest.mark.parametrize("name", METHODS)
def test_deviations_are_sentences(name: str) -> None:
    for line in registry.method_spec(name).deviations:
        assert len(line.split()) >= 4, line
        assert "\n" not in line
        assert not line.endswith(".")


@pytest.mark.parametrize("name", OWN)
def test_weights_are_known(name: str) -> None:
    spec, known = registry.method_spec(name), set(weights.registry())
    assert set(spec.weights) <= known
    if not any(info.is_required() for info in spec.params.model_fields.values()):
        assert set(registry.load("methods", name).weights(spec.params())) <= known


@pytest.mark.parametrize("name", [name for name in OWN if registry.method_spec(name).demo])
def test_demo_parameters_make_do_with_what_the_package_carries(name: str) -> None:
    spec = registry.method_spec(name)
    used = registry.load("methods", name).weights(spec.params.model_validate(spec.demo))
    assert used
    assert all(weights.entry(one).bundled for one in used)


def test_published_weights_always_have_a_packaged_stand_in() -> None:
    lacking = [name for name in OWN if registry.method_spec(name).weights and not registry.method_spec(name).demo]
    assert lacking == []


# ---- what is refused ------------------------------------------------------------------------------------------------


class Good(Method):
    spec = MethodSpec("good", "1", "Good")

    def synthesize(self, job: DubJob) -> Outputs:
        return Outputs({})


class Lookalike:
    spec = MethodSpec("good", "1", "Good")

    def prepare(self, job: Job) -> Outputs:
        return Outputs({})

    fit = synthesize = prepare


class NoSynthesize(Method):
    spec = MethodSpec("good", "1", "Good")


class WithArguments(Good):
    def __init__(self, file: str) -> None:
        self.file = file


def changed(**fields: Any) -> type[Method]:
    return type("Changed", (Good,), {"spec": replace(Good.spec, **fields)})


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Lookalike, "no subclass of lipbench.core.method.Method and lacks identity, weights, needs, driver"),
        (Lookalike(), "it is a Lookalike, not a"),
        (NoSynthesize, "does not implement synthesize"),
        (WithArguments, "cannot be made without arguments"),
        (type("NoSpec", (Good,), {"spec": None}), "`spec` is a NoneType"),
        (changed(id="other"), "it is registered as 'good'"),
        (changed(title=" "), "has no title"),
        (changed(version=""), "has no version"),
        (changed(licence=""), "has no licence"),
        (changed(stages=("prepare", "synthesize")), "names the stage prepare, which Changed does not implement"),
        (changed(stages=("synthesise",)), "names the stage 'synthesise'"),
        (changed(stages=()), "leaves out the stage synthesize"),
        (changed(needs=frozenset({"face"})), "faces, gpu, truth is understood"),
        (changed(deviations="one line"), "not a tuple of texts"),
        (changed(weights=("",)), "not a tuple of texts"),
        (changed(uses_gpu=("fit",)), "uses_gpu is ('fit',), not a tuple of its stages"),
        (changed(uses_gpu="synthesize"), "uses_gpu is 'synthesize', not a tuple of its stages"),
        (changed(kind="baseline"), "there are: control, method"),
        (changed(params=dict), "not a subclass of lipbench.core.method.Params"),
    ],
)
def test_what_breaks_the_contract_is_refused(found: Any, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape("the method 'good' from pkg:Name cannot be used")) as refused:
        checked_method(found, "good", "pkg:Name")
    assert why in refused.value.why
    assert "CONTRIBUTING.md" in refused.value.fix


def test_a_good_method_passes_as_class_instance_and_function() -> None:
    assert isinstance(checked_method(Good, "good", ""), Good)
    assert isinstance(checked_method(lambda: Good(), "good", ""), Good)
    one = Good()
    assert checked_method(one, "good", "") is one


@pytest.mark.parametrize("name", ["Under_score", "under_score", "-dash", "two--dashes"])
def test_ids_are_lower_case_with_hyphens(name: str) -> None:
    with pytest.raises(UsageError, match="lower case with hyphens"):
        checked_method(changed(id=name), name, "")


def test_plug_ins_pass_through_the_same_check(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value, dist = "good", "test_contracts_plugin:Lookalike", None

    plugin = type(sys)("test_contracts_plugin")
    plugin.Lookalike = Lookalike  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "test_contracts_plugin", plugin)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point] if group == "lipbench.methods" else [])
    registry.refresh()
    with pytest.raises(UsageError, match="the method 'good' from test_contracts_plugin:Lookalike cannot be used"):
        registry.load("methods", "good")
    monkeypatch.undo()
    registry.refresh()


# ---- jobs -----------------------------------------------------------------------------------------------------------


def test_jobs_say_which_stage_is_missing(tmp_path: Path) -> None:
    common: dict[str, Any] = {"out": tmp_path, "clip": None, "params": None}
    job = DubJob(dub=None, **common)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="what its stage prepare wrote"):
        FitJob(**common).prepared  # noqa: B018
    with pytest.raises(UsageError, match="what its stage fit wrote"):
        job.fitted  # noqa: B018
    with pytest.raises(UsageError, match="driving video"):
        job.driver  # noqa: B018
    full = DubJob(dub=None, prepare_folder=tmp_path, fit_folder=tmp_path, driver_video=tmp_path, **common)  # type: ignore[arg-type]
    assert full.prepared == full.fitted == full.driver == tmp_path
    assert not hasattr(PrepareJob(**common), "dub")


# ---- former names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [("still_mouth", "still-mouth"), ("shifted_audio", "shifted-audio")])
def test_former_ids_are_understood_with_a_remark(old: str, new: str) -> None:
    with pytest.warns(RenameWarning, match=f"{old}.* is called .*{new}"):
        assert MethodEntry(id=old).id == new
    registry.load.cache_clear()
    with pytest.warns(RenameWarning, match=new):
        assert registry.load("methods", old).spec.id == new


def test_a_former_id_beside_the_present_one_is_one_row_too_many() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenameWarning)
        with pytest.raises(ValueError, match="two methods are called 'still-mouth'"):
            RunFile.model_validate({"manifest": "demo", "methods": ["still_mouth", "still-mouth"]})


@pytest.mark.parametrize(("name", "value"), [("pc-avs", "pcavs-demo"), ("makeittalk", "makeittalk-demo")])
def test_former_values_of_weights_are_understood_with_a_remark(name: str, value: str) -> None:
    params: type[Params] = registry.method_spec(name).params
    with pytest.warns(RenameWarning, match=value):
        assert params.model_validate({"weights": "demo"}) == params.model_validate({"weights": value})


def test_the_command_line_shows_the_remark_as_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lipbench", "run", "--method", "still_mouth", "--dry-run", "--out", str(tmp_path / "r")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "remark: the method 'still_mouth' is called 'still-mouth' now; the old name will go"
    ]
    assert "synthesize" in done.stdout


# ---- specs stand beside the code ------------------------------------------------------------------------------------


def test_core_names_no_method() -> None:
    taken = {*weights.registry(), *registry.names("trainers"), *(n for n in METHODS if n not in ("truth", "external"))}
    root, wrong = Path(lipbench.__file__).parent, []
    for file in [*(root / "core").rglob("*.py"), root / "training" / "__init__.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in taken:
                wrong.append(f"{file.relative_to(root)}:{node.lineno}: {node.value}")
    assert wrong == []


@pytest.mark.parametrize("what", ["methods", "weights", "trainers"])
def test_listing_imports_nothing_heavy(what: str) -> None:
    call = {
        "methods": "[registry.method_spec(name) for name in SPECS]",
        "weights": "[weights.entry(name) for name in weights.registry()]",
        "trainers": "registry.sources('trainers')",
    }[what]
    code = (
        f"import sys, json; from lipbench.core import registry, weights; SPECS = {OWN!r}\n{call}\n"
        "heavy = ('torch', 'numpy', 'cv2', 'av', 'scipy', 'numba', 'pandas', 'matplotlib')\n"
        "print(json.dumps([m for m in heavy if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


class Named:
    """An entry point of the group lipbench.specs."""

    dist = None

    def __init__(self, value: str) -> None:
        self.name = self.value = value


@pytest.fixture
def other_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a spec module with the given content: other_package(METHODS=..., WEIGHTS=...)."""

    def install(**content: Any) -> None:
        module = ModuleType("test_contracts_spec")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, "test_contracts_spec", module)
        monkeypatch.setattr(specs, "entry_points", lambda group: [Named("test_contracts_spec")])
        registry.refresh()

    yield install
    monkeypatch.undo()
    registry.refresh()


def test_another_package_brings_methods_weights_and_trainers(
    other_package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(Good.spec, implementation=f"{__name__}:Good")
    monkeypatch.setattr(Good, "spec", spec)
    entry = weights.WeightsEntry("good-net", "good.pth", "method good", "MIT", where="from its page")
    other_package(METHODS=(spec,), WEIGHTS=(entry,), TRAINERS={"good": f"{__name__}:Good"})
    assert isinstance(registry.load("methods", "good"), Good)
    assert registry.method_spec("good") is spec
    assert weights.entry("good-net") is entry
    assert registry.load("trainers", "good") is Good


def test_a_spec_that_disagrees_with_its_class_is_refused(other_package: Callable[..., None]) -> None:
    other_package(METHODS=(replace(Good.spec, implementation=f"{__name__}:Good", title="Another"),))
    with pytest.raises(UsageError, match=r"the method 'good' from .*:Good cannot be used") as refused:
        registry.load("methods", "good")
    assert "another spec" in refused.value.why


def test_a_faulty_spec_is_refused_without_its_class(other_package: Callable[..., None]) -> None:
    other_package(METHODS=(replace(Good.spec, id="bad", licence="", implementation="nowhere:Bad"),))
    with pytest.raises(UsageError, match="the method 'bad' from test_contracts_spec cannot be used"):
        registry.method_spec("bad")


def test_a_spec_module_without_anything_is_refused(other_package: Callable[..., None]) -> None:
    other_package(METHOD=(Good.spec,))
    with pytest.raises(UsageError, match="test_contracts_spec of test_contracts_spec offers nothing"):
        registry.names("methods")


def test_one_name_for_two_things_is_refused(other_package: Callable[..., None]) -> None:
    entry = weights.WeightsEntry("syncnet_v2", "mine.pth", "mine", "MIT")
    other_package(WEIGHTS=(entry,), METHODS=(replace(Good.spec, id="dubbed"),))
    with pytest.raises(UsageError, match="two weights are called 'syncnet_v2'"):
        weights.entry("syncnet_v2")
    with pytest.raises(UsageError, match="two methods are called 'dubbed'"):
        registry.names("methods")
