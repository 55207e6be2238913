"""docs/running.md against the code: fields of the run file, environment variables, time limits."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

import lipbench
from lipbench.core.threads import THREAD_VARIABLES
from lipbench.engine.config import MethodEntry, RunFile, parse_run_file
from lipbench.metrics.sync.protocol import SyncOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
#: Options of the sync metrics that are fields of the run file themselves.
OWN_FIELDS = ("sync_model", "protocol")
#: Read by the example's manifest and by tests, not by the package.
ELSEWHERE = {"LIPBENCH_REAL_CLIPS"}


def rows(head):
    """First cell without backticks -> the other cells, of the table whose head begins so."""
    table = PAGE[PAGE.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {first.strip("` "): rest for first, *rest in cells}


@pytest.mark.parametrize(
    ("model", "head"), [(RunFile, "field"), (MethodEntry, "field of a method"), (SyncOptions, "option of `sync`")]
)
def test_every_field_stands_there_with_its_default(model, head):
    found = rows(head)
    fields = {n: info for n, info in model.model_fields.items() if model is not SyncOptions or n not in OWN_FIELDS}
    assert list(found) == [info.alias or name for name, info in fields.items()]
    for name, info in fields.items():
        default = info.get_default(call_default_factory=True)
        shown = "required" if default is PydanticUndefined else f"`{json.dumps(default)}`"
        assert found[info.alias or name][1] == shown, name
        assert len(found[info.alias or name][2]) > 10


def test_the_run_file_on_the_page_is_one():
    text = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    assert parse_run_file(yaml.safe_load(text), "page").name == "mine"


def variables_read(tree):
    """Names of environment variables that a module reads; those behind a constant of the module too."""
    assigned = [n for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant)]
    constants = {t.id: n.value.value for n in assigned for t in n.targets if isinstance(t, ast.Name)}
    keys = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr == "getenv" or (node.func.attr == "get" and is_environment(node.func.value)):
                keys.append(node.args[0])
        elif isinstance(node, ast.Subscript) and is_environment(node.value) and isinstance(node.ctx, ast.Load):
            keys.append(node.slice)
        elif isinstance(node, ast.keyword) and node.arg == "envvar":
            keys.append(node.value)
    named = [constants.get(key.id) if isinstance(key, ast.Name) else getattr(key, "value", None) for key in keys]
    return {name for name in named if isinstance(name, str)}


def is_environment(node):
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) in ("environ", "environment")


def test_every_environment_variable_stands_there():
    texts = [file.read_text(encoding="utf-8") for file in Path(lipbench.__file__).parent.rglob("*.py")]
    read = {name for text in texts if "env" in text for name in variables_read(ast.parse(text))}
    assert {"LIPBENCH_WEIGHTS", "LIPBENCH_TRACEBACK", "GITHUB_STEP_SUMMARY"} <= read
    assert set(rows("variable")) == (read - set(THREAD_VARIABLES)) | ELSEWHERE
    assert all(f"`{name}`" in PAGE for name in THREAD_VARIABLES)


def test_the_readme_links_the_page():
    assert "`docs/running.md`" in (ROOT / "README.md").read_text(encoding="utf-8")
