"""examples/slurm: the scripts as Slurm would run them, with a `sbatch` that runs a job at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lipbench.cli.doctor_method import tiny

SLURM = Path(__file__).parents[2] / "examples" / "slurm"

#: Runs what it is given, an array task by task; notes its words.
SBATCH = """\
import os, subprocess, sys
with open(os.environ["SBATCH_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
options = [word for word in sys.argv[1:] if word.startswith("--")]
words = [word for word in sys.argv[1:] if not word.startswith("--")]
tasks = next((o.partition("=")[2] for o in options if o.startswith("--array=")), None)
first, last = map(int, tasks.split("-")) if tasks else (0, 0)
codes = []
for i in range(first, last + 1):
    env = {**os.environ, "SLURM_CPUS_PER_TASK": "1"}
    if tasks:
        env |= {"SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)}
    codes.append(subprocess.run(["bash", *words], env=env, stdout=sys.stderr).returncode)
print("4711;cluster" if "--parsable" in options else f"Submitted batch job 4712")
print("codes", codes, file=sys.stderr)
"""


def scripts(folder: Path) -> dict[str, str]:
    """An environment whose `sbatch` is the one above and whose `lipbench` is this one."""
    (folder / "bin").mkdir()
    (folder / "sbatch.py").write_text(SBATCH)
    for name, words in (("sbatch", folder / "sbatch.py"), ("lipbench", "-m lipbench")):
        file = folder / "bin" / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        file.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "SBATCH_LOG": str(folder / "log")}


@pytest.mark.slow
def test_an_array_and_its_merge(tmp_path: Path) -> None:
    manifest = tiny(tmp_path / "clips", 8)
    (clip,), (dub,) = manifest.clips, manifest.dubs
    names = [f"clip-{i}" for i in range(4)]
    document = {
        "schema": 1,
        "name": "four",
        "version": "1",
        "licence": "CC0-1.0",
        "root": str(tmp_path / "clips"),
        "clips": [
            {"id": n, "video": clip.video.name, "sha256": clip.sha256, "language": clip.language, "speaker": n}
            | {"consent": "none needed", "landmarks": "faces.npz", "end_s": clip.end_s}
            for n in names
        ],
        "dubs": [
            {"clip": n, "language": dub.language, "kind": "synthetic", "audio": "dub.wav", "sha256": dub.sha256}
            for n in names
        ],
    }
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(document))
    request = {"schema": 1, "name": "r", "manifest": "manifest.yaml", "methods": ["dubbed"], "metrics": ["image"]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(request))
    words = ["bash", str(SLURM / "submit.sh"), "run.yaml", "run", "3"]
    done = subprocess.run(words, cwd=tmp_path, env=scripts(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "codes [0, 0, 0]" in done.stderr  # a shard without a clip is no fault
    assert "codes [0]" in done.stderr
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.startswith("--parsable --array=0-2 ")
    assert second.startswith("--dependency=afterany:4711 ")
    cells = [json.loads(line) for line in (tmp_path / "run" / "cells.jsonl").read_text().splitlines()]
    assert {c["clip"] for c in cells} == set(names)
    assert {c["status"] for c in cells} == {"ok"}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["clips"] == names
    assert len((tmp_path / "run" / "table.csv").read_text().splitlines()) == 2
    # The merge found everything.
    stages = done.stderr.rpartition(" stages: ")[2].splitlines()[0]
    assert "run" not in stages.split(";")[0], stages


@pytest.mark.parametrize(("code", "passed_on"), [(0, 0), (2, 0), (3, 3), (5, 5)])
def test_only_an_empty_shard_is_forgiven(tmp_path: Path, code: int, passed_on: int) -> None:
    env = scripts(tmp_path) | {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
    (tmp_path / "bin" / "lipbench").write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/said"\nexit {code}\n')
    done = subprocess.run(["bash", str(SLURM / "array.sh"), "mine.yaml", "/shared/my run"], env=env)
    assert done.returncode == passed_on
    assert (tmp_path / "said").read_text() == "run mine.yaml --out /shared/my run --shard 2/4 --workers 1\n"
