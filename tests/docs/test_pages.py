"""The Python on the pages runs: all blocks of a page in one fresh process, with stand-ins for what a reader has.

`tests/docs/PAGE.py` makes the stand-ins; its `afterwards` looks at what the blocks made.
"""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGES = {path.stem: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
DOCUMENTS = [*PAGES.values(), *sorted((ROOT / "docs" / "api").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "NOTICE"]
#: What only looks like a name of lipbench: groups of entry points, folders in the user's cache, a page of espeak-ng.
ENTRY_POINTS = {f"lipbench.{group}" for group in ("specs", "methods", "metrics", "datasets")}
ELSEWHERE = {"lipbench/weights", "lipbench/repos", "lipbench/stages", "docs/phontab.md"}
FENCE = re.compile(r"^```(?:python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Blocks that do not run: a text in them, and why. They are compiled, and the names of lipbench in them exist.
NOT_RUN = {'sync_model="syncnet_v2"': "nobody may redistribute these weights"}
#: Pages whose blocks render or score whole clips.
SLOW = {"corpus", "reports"}
RUN = """
import sys
names = {"__name__": "page"}
for file in sys.argv[1:]:
    exec(compile(open(file, encoding="utf-8").read(), file, "exec"), names)
names.get("afterwards", lambda: None)()
"""


def blocks(page: str) -> list[str]:
    return FENCE.findall(PAGES[page].read_text(encoding="utf-8"))


def runs(block: str) -> bool:
    return not any(text in block for text in NOT_RUN)


WITH_PYTHON = [page for page in PAGES if blocks(page)]


def python(folder: Path, *arguments: str) -> None:
    """A fresh Python in a folder, without weights of this machine."""
    path = os.pathsep.join([str(ROOT), str(HERE)])
    env = {**os.environ, "PYTHONPATH": path, "LIPBENCH_WEIGHTS": str(folder / "weights"), "MPLBACKEND": "agg"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in WITH_PYTHON])
def test_the_python_of_a_page_runs(page, tmp_path):
    code = tmp_path / "blocks.py"
    code.write_text("\n".join(filter(runs, blocks(page))), encoding="utf-8")
    python(tmp_path, "-c", RUN, str(HERE / f"{page}.py"), str(code))


@pytest.mark.parametrize("text", NOT_RUN)
def test_what_does_not_run_names_what_exists(text, tmp_path):
    (block,) = [block for page in PAGES for block in blocks(page) if text in block]
    compile(block, text, "exec")
    names = set(re.findall(r"\blipbench(?:\.\w+)+", block))
    assert names
    for name in names:
        python(tmp_path, "-c", f"import lipbench; {name}")


def test_the_readme_names_reach_what_nothing_has_imported(tmp_path):
    python(tmp_path, "-c", "import lipbench; lipbench.metrics.sync.SyncOptions; lipbench.reports.tables.table_text")


def test_all_python_stands_in_fences():
    """Otherwise nothing would run it."""
    for path in PAGES.values():
        outside = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found = re.findall(r"^ {4,}(?:import \w|from \w\S* import |def \w+\(|class \w+[(:]).*", outside, re.MULTILINE)
        assert not found, f"{path.name}: {found[0]}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_of_modules_and_files_exist(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"(?<![/\w-])(?:lipbench|tools|tests|docs)/[\w./-]*\w(?![\w*/])", text):
        assert name in ELSEWHERE or (ROOT / name).exists(), name
    for name in set(re.findall(r"\b(?:lipbench|tools)(?:\.[A-Za-z_]\w*)+", text)) - ENTRY_POINTS:
        pkgutil.resolve_name(name)


def test_every_stand_in_has_its_page():
    assert {path.stem for path in HERE.glob("*.py")} - {"clip", "test_pages", "test_site"} == set(WITH_PYTHON)
