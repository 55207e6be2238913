"""Do the tests notice a wrong program? A sample of mutants of six files, run against the tests of those files.

    nox -s mutation -- [--seed 14] [--mutants 8] [--line 96] [FILE ...]

cosmic-ray changes one operator, number, keyword or decorator at a time, in a temporary copy of the package and never in
the working tree. A mutant that passes the tests survives: either it changes nothing that anyone can see (then it goes
into EQUIVALENT, with a reason), or a test is missing. Survivors are for people to judge: the exit code stays 0.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("lipbench", "tests", "pyproject.toml")

#: File -> its tests (patterns of files, `::` and a test), quick ones first: the first failure ends a mutant.
TARGETS = {
    "lipbench/core/keys.py": ("tests/core/test_keys*.py",),
    "lipbench/media/clock.py": ("tests/media/test_media_clock.py", "tests/media/test_media_read.py"),
    "lipbench/metrics/sync/arithmetic.py": ("tests/metrics/test_sync_arithmetic.py",),
    "lipbench/reports/gate/verdict.py": (
        "tests/reports/gate/test_gate_decisions.py",
        "tests/reports/gate/test_gate_verdicts.py",
        "tests/reports/gate/test_gate_files.py",
    ),
    "lipbench/metrics/functional/ssim.py": ("tests/metrics/test_ssim.py",),
    "lipbench/engine/plan.py": (
        "tests/engine/test_plan.py",
        "tests/engine/test_config.py",
        *(
            f"tests/engine/test_run.py::test_{name}"
            for name in (
                "run_scores_and_a_second_run_is_cached",
                "the_next_run_retries_only_what_failed",
                "a_method_starts_from_what_another_made",
                "editing_a_parameter_or_the_code_changes_the_key",
            )
        ),
    ),
}

#: Operators that take the place of another and that nobody types by mistake: most change nothing, or break at once.
ODD = re.compile(r"core/Replace.*_(BitOr|BitXor|BitAnd|LShift|RShift|Is|IsNot|In|NotIn|Invert|UAdd)$")

#: File, line, what it says, what the mutant says instead, and why no test can tell the two apart. Spaces do not count.
BLOCKS = "a file is hashed in blocks of any size"
FROZEN = "nobody assigns to it: frozen guards later code, it changes no result"
EQUIVALENT = (
    ("lipbench/core/keys.py", "while block := file.read(1 << 20):", "1 << 20", "2 << 20", BLOCKS),
    ("lipbench/core/keys.py", "while block := file.read(1 << 20):", "1 << 20", "1 << 21", BLOCKS),
    ("lipbench/core/keys.py", "while block := file.read(1 << 20):", "1 << 20", "1 << 19", BLOCKS),
    (
        "lipbench/core/keys.py",
        "for i, (x, y) in enumerate(zip(a, b, strict=True)):",
        "True",
        "False",
        "the line above asks for equal lengths",
    ),
    ("lipbench/metrics/sync/arithmetic.py", "@dataclass(frozen=True)", "True", "False", FROZEN),
    ("lipbench/reports/gate/verdict.py", "@dataclass(frozen=True)", "True", "False", FROZEN),
    (
        "lipbench/metrics/functional/ssim.py",
        'compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)',
        "nogil=True",
        "nogil=False",
        "a matter of speed with several threads",
    ),
    ("lipbench/metrics/functional/ssim.py", "if i < 10:", "i < 10", "i < 9", "row 9 is computed, and in no box"),
    *(
        (
            "lipbench/metrics/functional/ssim.py",
            "g, h, i, j, k = row[18 : n + 18], row[21 : n + 21], row[24 : n + 24], row[27 : n + 27], row[30 : n + 30]",
            f"n + {taps}]",
            f"n + {taps + 1}]",
            "only the first n are read",
        )
        for taps in (18, 21, 24, 27, 30)
    ),
)

FAST = "not slow and not gpu and not net and not ray"
OPTIONS = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "-m",
    "not slow and not gpu and not net and not ray",
    "--hypothesis-seed=0",
)


def annotation_lines(source: str) -> set[tuple[int, int]]:
    """(line, column) of everything inside annotations: they are never evaluated, so a change there is no mutant."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        notes = [getattr(node, name, None) for name in ("annotation", "returns")]
        for note in [n for n in notes if isinstance(n, ast.expr) and n.end_lineno and n.end_col_offset]:
            assert note.end_lineno == note.lineno, "an annotation over several lines"
            found |= {(note.lineno, column) for column in range(note.col_offset, note.end_col_offset or 0)}
    return found


def choose(path: Path, database: WorkDB, seed: int, count: int, line: int | None) -> list[MutationSpec]:
    """`count` mutants of a file, each at another place in the code; with `line`, every mutant of that line."""
    init([path], database, {})
    skipped = annotation_lines(path.read_text(encoding="utf-8"))
    places: dict[tuple[int, int], list[MutationSpec]] = {}
    for item in database.work_items:
        (mutation,) = item.mutations
        if ODD.match(mutation.operator_name) or mutation.start_pos in skipped:
            continue
        if line in (None, mutation.start_pos[0]):
            places.setdefault(mutation.start_pos, []).append(mutation)
    for mutations in places.values():
        mutations.sort(key=lambda m: (m.operator_name, m.occurrence))
    if line is not None:
        return [m for place in sorted(places) for m in places[place]]
    dice = random.Random(f"{seed} {path.as_posix()}")
    chosen = dice.sample(sorted(places), min(count, len(places)))
    return [dice.choice(places[place]) for place in sorted(chosen)]


def is_equivalent(name: str, old: str, new: str) -> bool:
    """Whether EQUIVALENT has this change."""
    change = [re.sub(r"\s", "", text) for text in (old, new)]
    entries = [(line, line.replace(was, now)) for file, line, was, now, _ in EQUIVALENT if file == name]
    return any([re.sub(r"\s", "", text) for text in entry] == change for entry in entries)


def forget_bytecode(path: Path) -> None:
    """Remove the compiled forms of one module: the others stay, so that a mutant starts as fast as its tests do."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def run_file(name: str, seed: int, count: int, line: int | None) -> Counter[str]:
    """Run one file's mutants from the copy that is the current directory; prints as it goes."""
    path = Path(name)
    tests = []
    for pattern in TARGETS[name]:
        files, mark, test = pattern.partition("::")
        found = [f"{file}{mark}{test}" for file in sorted(Path().glob(files))]
        if not found:
            raise SystemExit(f"{name}: no test file is called {files}: mend TARGETS")
        tests += found
    command = [sys.executable, "-m", "pytest", *OPTIONS, *tests]
    began = time.monotonic()
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(f"{name}: its tests fail before any mutation: {shlex.join(command)}")
    took = time.monotonic() - began
    seen: Counter[str] = Counter()
    with use_db("mutants.sqlite") as database:
        mutations = choose(path, database, seed, count, line)
    print(f"\n{name}: {len(mutations)} mutants, its tests take {took:.0f} s", flush=True)
    for mutation in mutations:
        forget_bytecode(path)
        result = mutate_and_test([mutation], shlex.join(command), timeout=30 + 4 * took)
        diff = [text for text in (result.diff or "").splitlines() if not text.startswith(("---", "+++", "@@"))]
        old, new = (" ".join(t[1:].strip() for t in diff if t.startswith(sign)) for sign in "-+")
        outcome = "survived" if result.test_outcome is TestOutcome.SURVIVED else "killed"
        if result.worker_outcome is not WorkerOutcome.NORMAL:
            outcome = "not run"
        elif result.output == "timeout":
            outcome = "timeout"
        elif outcome == "survived" and is_equivalent(name, old, new):
            outcome = "equivalent"
        seen[outcome] += 1
        print(f"  {outcome:<10} {name}:{mutation.start_pos[0]} {mutation.operator_name}", flush=True)
        if outcome != "killed":
            print(f"    - {old}\n    + {new}", flush=True)
    return seen


def main() -> None:
    """Copy, mutate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help="of the six; all of them when none is named")
    parser.add_argument("--seed", type=int, default=14, help="of the sample [14]")
    parser.add_argument("--mutants", type=int, default=8, help="per file [8]")
    parser.add_argument("--line", type=int, help="every mutant of this line of the one FILE, instead of a sample")
    given = parser.parse_args()
    unknown = set(given.files) - set(TARGETS)
    if unknown or (given.line is not None and len(given.files) != 1):
        parser.error(f"FILE is one of {', '.join(TARGETS)}")
    scores: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder  # before an editable install of the working tree
        where = subprocess.check_output([sys.executable, "-c", "import lipbench; print(lipbench.__file__)"], text=True)
        if Path(folder).resolve() not in Path(where.strip()).resolve().parents:
            raise SystemExit(f"the tests would import {where.strip()}, not the copy in {folder}")
        for name in given.files or TARGETS:
            scores[name] = run_file(name, given.seed, given.mutants, given.line)
        os.chdir(ROOT)
    columns = ("killed", "timeout", "survived", "equivalent", "not run")
    print(f"\nseed {given.seed}\n| file | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}")
    for name, seen in [*scores.items(), ("all", sum(scores.values(), Counter()))]:
        print(f"| {name} | {' | '.join(str(seen[column]) for column in columns)} |")


if __name__ == "__main__":
    main()
