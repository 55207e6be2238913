"""lipbench export: what a method elsewhere gets, and the way back through `precomputed`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.export import main
from lipbench.core.errors import UsageError
from lipbench.engine import api
from lipbench.engine.config import load_run_file


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    answer = CliRunner().invoke(main, ["demo", "-o", str(out), "--clip", "demo-en", "--lang", "fr"])
    assert answer.exit_code == 0, answer.exception
    assert answer.output.splitlines()[-1] == f"lipbench run {out / 'run.yaml'}"
    return out


def test_there_and_back(exported: Path, tmp_path: Path) -> None:
    with open(exported / "dubs.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["clip"], row["language"], row["result"]) == ("demo-en", "fr", "results/demo-en.fr.mp4")
    video, audio = exported / row["video"], exported / row["audio"]
    seen, (samples, rate) = media.probe(video), media.read_wav(audio)
    assert (seen.n_frames, seen.width, seen.height) == (int(row["frames"]), int(row["width"]), int(row["height"]))
    assert (rate, len(samples)) == (16000, seen.n_frames * 640)
    assert sorted(p.name for p in exported.iterdir()) == ["dubs.csv", "inputs", "results", "run.yaml"]
    # The way back: a method elsewhere has made them.
    config = load_run_file(exported / "run.yaml")
    assert (config.clips, config.languages) == (("demo-en",), ("fr",))
    prepared = api.prepare(exported / "run.yaml", out=tmp_path / "run")
    made = {cell.method: prepared.plan.nodes[name] for cell, name in prepared.plan.synthesize.items()}
    assert made["theirs"].refusal is not None
    shutil.copyfile(video, exported / row["result"])
    prepared = api.prepare(exported / "run.yaml", out=tmp_path / "run")
    made = {cell.method: prepared.plan.nodes[name] for cell, name in prepared.plan.synthesize.items()}
    assert made["theirs"].refusal is None


def test_of_a_run_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("manifest: demo\nclips: [demo-en]\nlanguages: [fr]\nmethods: [wav2lip]\nmetrics: [psnr_full]\n")
    answer = CliRunner().invoke(main, [str(file), "-o", str(tmp_path / "out")])
    assert answer.exit_code == 0, answer.exception
    config = load_run_file(tmp_path / "out" / "run.yaml")
    assert [m.id for m in config.methods] == ["dubbed", "precomputed"]
    assert [m.id for m in config.metrics] == ["psnr_full"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("mine")
    answer = CliRunner().invoke(main, ["demo", "-o", str(tmp_path)])
    assert isinstance(answer.exception, UsageError)
    assert (tmp_path / "here").read_text() == "mine"
