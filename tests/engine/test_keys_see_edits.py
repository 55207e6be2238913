"""An edit never answers from the cache, and what cannot change a result makes nothing run again."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lipbench
from lipbench.cli.explain import main as explain
from lipbench.core import registry
from lipbench.core.code import Sources
from lipbench.core.code.closure import NEVER
from lipbench.engine import api

ROOT = Path(lipbench.__file__).parent

#: Plans the demo on one clip and one dub, edits files of the copy it runs from, plans again. Reads a list of
#: [file, text to append, function to edit] and prints, for each, the stages whose key changed.
PLANS = """
import ast, json, sys
from pathlib import Path
import lipbench
from lipbench.core import keys
from lipbench.engine import api
from lipbench.engine.demo import demo_run
from lipbench.engine.plan import PlanState

class Finished(PlanState):
    "As if every stage had run, with results that stay the same when its code changes."
    def digest(self, node_id, output):
        return f"{node_id} {output}"
    image_hash = digest

def planned():
    run = {**demo_run(), "clips": ["demo-en"], "languages": ["fr"]}
    made = api.prepare(run, out="nowhere")
    done = Finished(made.plan, made.store)
    return {name: done.key(name) for name, node in made.plan.nodes.items() if node.refusal is None}

root = Path(lipbench.__file__).parent
first = planned()
assert planned() == first
answers = []
for file, appended, function in json.load(sys.stdin):
    path = root / file
    text = path.read_text()
    lines = text.split("\\n")
    for node in ast.walk(ast.parse(text)) if function else ():
        if getattr(node, "name", "") == function:
            body = node.body[0]
            lines.insert(body.lineno - 1, " " * body.col_offset + "_edited = 1")
    assert appended or len(lines) > text.count("\\n") + 1, f"no {function} in {file}"
    path.write_text("\\n".join(lines) + appended)
    second = planned()
    assert set(second) == set(first)
    answers.append(sorted(name for name in first if first[name] != second[name]))
    path.write_text(text)
assert planned() == first
print(json.dumps({"all": sorted(first), "changed": answers}))
"""

EDIT = "\n_EDITED = 1\n"
WORDS = '\n\n\n# A remark.\n"""A remark that looks like text."""\n'

#: What is edited: file, text to append, function to put a line into.
EDITS = {
    "a metric": ("metrics/temporal.py", EDIT, ""),
    "what metrics share": ("metrics/frame_metric.py", EDIT, ""),
    "the network of LPIPS": ("metrics/functional/lpips.py", EDIT, ""),
    "the helper of the methods": ("baselines/jobs.py", EDIT, ""),
    "Speech2Vid": ("baselines/speech2vid/sound.py", EDIT, ""),
    "media": ("media/read.py", EDIT, ""),
    "compositing": ("lipnerf/composite/compositor.py", EDIT, ""),
    "the trainer of fields": ("nerf/training/trainer.py", EDIT, ""),
    "the stage that scores": ("engine/score_stage.py", "", "run_score"),
    "the stage that lays dubs": ("engine/stages.py", "", "run_dub"),
    "the stage of methods": ("engine/stages.py", "", "run_method"),
    "the check of results": ("engine/stages.py", "", "accept"),
    "the command": ("cli/run.py", EDIT, ""),
    "the tables": ("reports/table.py", EDIT, ""),
    "the progress": ("engine/progress.py", EDIT, ""),
    "the planner": ("engine/build.py", EDIT, ""),
    "the errors": ("core/errors.py", EDIT, ""),
    "the list of weights": ("core/weights/entries.py", EDIT, ""),
    "another method": ("baselines/precomputed.py", EDIT, ""),
    "words in a metric": ("metrics/temporal.py", WORDS, ""),
    "words in media": ("media/read.py", WORDS, ""),
    "words in the stages": ("engine/stages.py", WORDS, ""),
}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each edit changed, in a copy of lipbench whose data files are links."""
    folder = tmp_path_factory.mktemp("copy")
    for file in ROOT.rglob("*"):
        target = folder / "lipbench" / file.relative_to(ROOT)
        if file.suffix == ".py":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        elif file.is_file() and file.suffix != ".pyc":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    run = subprocess.run(
        [sys.executable, "-c", PLANS],
        input=json.dumps(list(EDITS.values())),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=250,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    answer = json.loads(run.stdout)
    return {"all": set(answer["all"]), **{n: set(c) for n, c in zip(EDITS, answer["changed"], strict=True)}}


def kinds(names: set[str]) -> set[str]:
    return {" ".join(name.split(" ")[: 2 if name.startswith("score") else 1]) for name in names}


def methods(names: set[str], kind: str = "synthesize") -> set[str]:
    return {name.split(" ")[1].removesuffix("-demo") for name in names if name.startswith(f"{kind} ")}


def test_the_plan_has_every_kind_of_stage(plans):
    assert {"clip", "dub", "faces", "prepare", "fit", "synthesize", "score image", "score sync"} <= kinds(plans["all"])
    assert {"lipnerf", "ad-nerf", "wav2lip", "dubbed"} <= methods(plans["all"])


@pytest.mark.parametrize(
    ("edit", "families"),
    [
        ("a metric", {"score temporal"}),
        ("what metrics share", {"score image", "score lpips", "score temporal"}),
        ("the network of LPIPS", {"score lpips"}),
    ],
)
def test_an_edit_of_a_metric_scores_again_and_does_nothing_else(plans, edit, families):
    assert plans[edit] == {name for name in plans["all"] if kinds({name}) <= families}
    assert plans[edit]


def test_an_edit_of_what_methods_share_runs_the_methods_that_use_it(plans):
    changed = plans["the helper of the methods"]
    assert kinds(changed) == {"prepare", "synthesize"}
    assert methods(changed) == methods(plans["all"])
    assert methods(changed, "prepare") == {"pcavs"}  # it reads poses along the face track
    # LipNeRF starts from a video of Speech2Vid's.
    assert methods(plans["Speech2Vid"]) == {"speech2vid", "lipnerf"}


def test_an_edit_of_media_runs_all_that_reads_videos(plans):
    assert kinds(plans["all"] - plans["media"]) <= {"score mesh"}


def test_an_edit_of_the_rendering_does_not_train_again(plans):
    assert kinds(plans["compositing"]) == {"synthesize"}
    assert methods(plans["compositing"]) == {"lipnerf", "ad-nerf"}
    assert methods(plans["the trainer of fields"], "fit") == {"lipnerf", "ad-nerf"}
    assert kinds(plans["the trainer of fields"]) == {"fit", "synthesize"}


def test_an_edit_of_a_stage_runs_the_stages_of_that_kind(plans):
    scores = {name for name in plans["all"] if name.startswith("score ")}
    assert plans["the stage that scores"] == scores
    assert kinds(plans["the stage that lays dubs"]) == {"dub", "synthesize"}
    assert kinds(plans["the stage of methods"]) == {"prepare", "fit", "synthesize"}
    assert plans["the check of results"] == plans["the stage of methods"]


@pytest.mark.parametrize(
    "edit",
    [
        "the command",
        "the tables",
        "the progress",
        "the planner",
        "the errors",
        "the list of weights",
        "another method",
        "words in a metric",
        "words in media",
        "words in the stages",
    ],
)
def test_an_edit_that_cannot_change_a_result_runs_nothing(plans, edit):
    assert plans[edit] == set()


# ---- what runs is what is hashed -------------------------------------------------------------------------------


def test_every_module_that_an_import_loads_is_in_the_closure():
    """Python's own account of what a method's and a metric's module import, beside ours."""
    named = [type(registry.load(kind, n)).__module__ for kind in ("methods", "metrics") for n in registry.names(kind)]
    roots = sorted({module for module in named if module.startswith("lipbench.")})
    script = (
        f"import importlib, json, sys\nfor name in {roots!r}: importlib.import_module(name)\n"
        "ours = ('lipbench', 'lpips', 'torchvision')\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ours]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=250, check=True)
    loaded = {name for name in json.loads(run.stdout) if not name.startswith("lipbench.core.code")}
    assert len(loaded) > 50
    assert not {"lpips", "torchvision"} & loaded  # seconds each, and nothing needs them to be imported
    assert loaded - set(Sources().code(*roots).modules) <= NEVER


# ---- a run -----------------------------------------------------------------------------------------------------


def go(manifest, out: Path):
    run = {"manifest": "tiny", "methods": ["fake-copy"], "metrics": ["fake"], "clips": ["one"], "languages": ["fr"]}
    return api.execute(api.prepare(run, out=out, manifest=manifest), workers=1, quiet=True)


@pytest.fixture
def edited(plugin):
    """Edits the plug-in's module; it is put back afterwards."""
    path = plugin / "fake_lipbench_plugin.py"
    before = path.read_text()

    def edit(old: str, new: str) -> None:
        assert old in before
        path.write_text(before.replace(old, new))

    yield edit
    path.write_text(before)


def test_an_edited_metric_of_a_plug_in_is_measured_again_and_explained(manifest, tmp_path, edited):
    first = go(manifest, tmp_path / "run")
    edited("per = a.mean((1, 2, 3))", "per = 2 * a.mean((1, 2, 3))")
    second = go(manifest, tmp_path / "run")
    gray = [result.cells[0]["metrics"]["gray"]["value"] for result in (first, second)]
    assert gray[1] == pytest.approx(2 * gray[0])
    assert first.cells[0]["keys"]["synthesize"] == second.cells[0]["keys"]["synthesize"]
    assert {s.how for name, s in second.outcome.states.items() if not name.startswith("score")} == {"cached"}
    names = [result.cells[0]["keys"]["score"]["fake"] for result in (first, second)]
    shown = CliRunner().invoke(explain, [*names, "--run", str(tmp_path / "run")]).output
    assert shown.startswith("code\n")
    assert shown.endswith("  changed: fake_lipbench_plugin\n")
    told = CliRunner().invoke(explain, [*names, "--run", str(tmp_path / "run"), "--json"]).output
    assert json.loads(told)["modules"] == {"fake_lipbench_plugin": "changed"}


@pytest.mark.usefixtures("in_process")  # which runs the module as it was: what runs counts here, not what comes of it
def test_an_edited_function_of_a_plug_in_runs_the_methods_that_use_it(manifest, tmp_path, edited):
    first = go(manifest, tmp_path / "run")
    edited('file.write("x")', 'file.write("y")')
    second = go(manifest, tmp_path / "run")
    assert first.cells[0]["keys"]["synthesize"] != second.cells[0]["keys"]["synthesize"]
    assert {n.split(" ")[0] for n, s in second.outcome.states.items() if s.how == "run"} >= {"synthesize"}


@pytest.mark.usefixtures("in_process")
def test_a_comment_in_a_plug_in_changes_nothing(manifest, tmp_path, edited):
    go(manifest, tmp_path / "run")
    edited('file.write("x")', 'file.write("x")  # one more')
    assert {state.how for state in go(manifest, tmp_path / "run").outcome.states.values()} == {"cached"}


def test_what_makes_a_registered_metric_counts():
    """An entry point may name a function or an instance: it is code of the metric too."""
    from lipbench.engine.build import maker

    assert maker("methods", "wav2lip", registry.load("methods", "wav2lip")) == ()
    ready = maker("methods", "musetalk", registry.load("methods", "musetalk"))
    assert ready == (registry.sources("methods")["musetalk"],)
    assert "lipbench.baselines.external.ready" in Sources().code(*ready).modules


def test_no_stage_is_without_code():
    """Every function that `execute` calls is one that the planner names."""
    text = (ROOT / "engine/build.py").read_text()
    for module, called in (("stages", "STAGES"), ("score_stage", "SCORING")):
        tree = ast.parse((ROOT / f"engine/{module}.py").read_text())
        named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("run_")}
        assert named
        assert all(f"{{{called}}}:{name}" in text for name in named)
