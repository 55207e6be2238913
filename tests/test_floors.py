"""Each folder imports only from the floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

import lipbench

ROOT = Path(lipbench.__file__).parent
#: From the ground floor up; a folder imports from the floors below its own.
FLOORS = [
    {"core"},
    {"media"},
    {"faces"},
    {"datasets"},
    {"metrics", "reports"},
    {"nerf"},
    {"lipnerf"},
    {"baselines"},
    {"engine"},
    {"synthetic"},
    {"training"},
    {"cli"},
]
BELOW = {folder: set().union(*FLOORS[:floor]) for floor, folders in enumerate(FLOORS) for folder in folders}


def imported(file: Path) -> set[str]:
    """Folders of lipbench that a file imports, wherever in the file the import stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] + [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("lipbench.")}
    return found & set(BELOW)


def test_floors():
    wrong = []
    for folder, allowed in BELOW.items():
        for file in (ROOT / folder).rglob("*.py"):
            for other in imported(file) - allowed - {folder}:
                wrong.append(f"{file.relative_to(ROOT)} imports lipbench.{other}")
    assert not wrong, "\n".join(sorted(wrong))


def test_every_folder_has_a_floor():
    folders = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert folders == set(BELOW)
