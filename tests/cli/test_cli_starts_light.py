"""What answers without computing loads nothing that only computing needs: torch alone takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DRY_RUN = """
import sys
from lipbench.cli.run import main

main(sys.argv[1:], standalone_mode=False)
print({"torch", "numba", "pandas", "scipy.special"} & set(sys.modules))
"""


def test_a_plan_of_the_demo_loads_nothing_heavy(tmp_path: Path) -> None:
    """Every method's and every metric's row is planned, with the hashes of their code."""
    arguments = ["--dry-run", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", DRY_RUN, *arguments], capture_output=True, text=True, check=True)
    *plan, loaded = done.stdout.splitlines()
    assert any("synthesize" in line for line in plan)
    assert loaded == "set()"
