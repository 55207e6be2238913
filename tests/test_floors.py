"""Each folder imports only from the floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

import lipbench

ROOT = Path(lipbench.__file__).parent
#: folder -> folders it may import from (besides itself).
FLOORS = {
    "core": set(),
    "faces": {"core"},
    "datasets": {"core", "faces"},
    "metrics": {"core", "faces", "datasets"},
    "reports": {"core", "faces", "datasets"},
    "lipnerf": {"core", "faces", "datasets", "metrics"},
    "baselines": {"core", "faces", "datasets", "metrics", "lipnerf"},
    "engine": {"core", "faces", "datasets", "metrics", "reports", "lipnerf", "baselines"},
    "cli": {"core", "faces", "datasets", "metrics", "reports", "lipnerf", "baselines", "engine"},
}


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
    return found & set(FLOORS)


def test_floors():
    wrong = []
    for folder, allowed in FLOORS.items():
        for file in (ROOT / folder).rglob("*.py"):
            for other in imported(file) - allowed - {folder}:
                wrong.append(f"{file.relative_to(ROOT)} imports lipbench.{other}")
    assert not wrong, "\n".join(sorted(wrong))


def test_every_folder_has_a_floor():
    folders = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert folders == set(FLOORS)
