"""lipbench doctor: the machine, and conformance of methods that do and do not keep the contract."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli import doctor_machine
from lipbench.cli.doctor import main
from lipbench.cli.doctor_method import _correlation, answer, examine, tiny
from lipbench.core.errors import UnknownName
from lipbench.faces.track import FaceTrack

ASKED = (
    "makes a video",
    "frame rate",
    "frames",
    "size",
    "decodes",
    "sound length",
    "sound",
    "same pixels again",
    "resumes",
    "is not run twice",
)


def states(checks: Any) -> dict[str, str]:
    return {c.what: c.state for c in checks}


def external(folder: Path, fake: Path, behavior: str, extra: str = "") -> str:
    # Its own folder: what lies beside a method file in a plain folder is its code, and hashed into the keys.
    folder = folder / "method"
    folder.mkdir()
    shutil.copyfile(fake, folder / "fake.py")
    file = folder / f"{behavior}.yaml"
    words = f'"{{python}}", fake.py, {behavior}, --video, "{{video}}", --audio, "{{audio}}", --out, "{{out}}"'
    file.write_text(f"name: fake-{behavior}\nrepo: {{path: .}}\nargv: [{words}]\n{extra}")
    return str(file)


def test_the_machine() -> None:
    result = CliRunner().invoke(main, ["--json"])
    assert result.exit_code == 0, result.output
    lines = {(line["group"], line["what"]): line for line in json.loads(result.stdout)}
    assert lines["methods", "dubbed"]["state"] == "ok"
    assert lines["weights", "syncnet_v2"] == {
        "group": "weights",
        "what": "syncnet_v2",
        "state": "missing",
        "fix": "run `lipbench weights get syncnet_v2`",
        "detail": "the sync model behind published LSE-D and LSE-C",
    }
    assert lines["methods", "wav2lip"]["state"] == "missing"
    assert "lipbench weights add wav2lip FILE" in lines["methods", "wav2lip"]["fix"]
    assert lines["methods", "musetalk"]["detail"] == "external, not installed"
    assert "git clone https://github.com/TMElyralab/MuseTalk" in lines["methods", "musetalk"]["fix"]
    assert ("machine", "memory") in lines
    assert {g for g, _ in lines} == {"machine", "packages", "devices", "weights", "methods"}
    shown = CliRunner().invoke(main, []).stdout
    assert "how to get" not in shown
    assert "--  syncnet_v2" in shown


@pytest.mark.parametrize(
    ("forbidden", "there", "state"), [(True, False, "missing"), (True, True, "ok"), (False, False, "ok")]
)
def test_a_machine_that_keeps_no_bytecode_is_told(
    forbidden: bool, there: bool, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = doctor_machine.importlib.util.find_spec("torch")
    torch.cached = str(tmp_path / "torch.pyc")
    if there:
        (tmp_path / "torch.pyc").touch()
    monkeypatch.setattr(doctor_machine.importlib.util, "find_spec", lambda name: torch)
    monkeypatch.setattr(doctor_machine.sys, "dont_write_bytecode", forbidden)
    found = doctor_machine._bytecode()
    assert found.state == state
    assert found.fix == ("unset PYTHONDONTWRITEBYTECODE" if state == "missing" else "")


def test_tiny_is_the_beginning_of_a_packaged_clip(tmp_path: Path) -> None:
    manifest = tiny(tmp_path, 12)
    (clip,), (dub,) = manifest.clips, manifest.dubs
    assert clip.end_s == pytest.approx(0.48)
    assert clip.landmarks is not None
    assert len(FaceTrack.load(clip.landmarks)) == 12
    assert dub.audio is not None
    assert len(media.read_wav(dub.audio)[0]) == 12 * 640
    assert dub.language != clip.language
    assert dub.language in clip.truth
    assert manifest.digest  # every path lies below its root


def test_a_control_conforms(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["dubbed", "--frames", "8", "--keep", str(tmp_path / "kept"), "--json"])
    assert result.exit_code == 0, result.output
    found = {line["what"]: line["state"] for line in json.loads(result.stdout)["dubbed"]}
    assert found == {**dict.fromkeys(ASKED, "ok"), "mouth": "skip"}
    assert list(found)[-3:] == ["same pixels again", "resumes", "is not run twice"]
    assert media.probe(tmp_path / "kept" / "dubbed" / "first.mp4").n_frames == 8


def test_exit_codes_and_output(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["wav2lip", "--json"])
    assert result.exit_code == 2
    (line,) = json.loads(result.stdout)["wav2lip"]
    assert (line["what"], line["state"]) == ("weights wav2lip", "missing")
    assert "lipbench weights add" in line["fix"]
    result = CliRunner().invoke(main, ["precomputed"])
    assert result.exit_code == 2
    assert "folder" in result.stdout
    with pytest.raises(UnknownName, match="wav2lip"):
        CliRunner().invoke(main, ["wav2lipp"], catch_exceptions=False)


@pytest.mark.slow
def test_an_external_method(tmp_path: Path, fake: Path) -> None:
    found = states(examine(external(tmp_path, fake, "freeze"), {}, tmp_path / "run", frames=10))
    assert {k: found[k] for k in ASKED} == dict.fromkeys(ASKED, "ok")
    assert found["mouth"] in ("ok", "fail")  # ten frames from a still face may hardly differ
    assert found["marked synthetic"] == "ok"


@pytest.mark.parametrize(("behavior", "reason"), [("crash", "crash"), ("copy", "pass_through")])
def test_what_breaks_is_named(behavior: str, reason: str, tmp_path: Path, fake: Path) -> None:
    found = examine(external(tmp_path, fake, behavior), {}, tmp_path / "run", frames=10)
    last = found[-1]
    assert (last.what, last.state) == ("makes a video", "fail")
    assert reason in last.detail


def test_what_is_not_there_is_said_before_anything_runs(tmp_path: Path, fake: Path) -> None:
    file = external(tmp_path, fake, "freeze", "weights: [{path: big.pth}]\n")
    found = examine(file, {}, tmp_path / "run", frames=10)
    assert states(found)["weights big.pth"] == "missing"
    assert "makes a video" not in states(found)
    assert not (tmp_path / "run" / "run").exists()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """A reference of 10 frames with its sound."""
    folder = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 255, (10, 12, 16, 3)), 4, 1).repeat(4, 2).astype(np.uint8)
    sound = rng.normal(0, 3000, 6400).astype(np.int16)
    wav = media.write_wav(folder / "dub.wav", sound)
    return media.write_video(folder / "ref.mp4", frames, 25, sound), wav, frames, sound


def judged(pair: Any, tmp_path: Path, frames: np.ndarray, fps: float = 25, **options: Any) -> dict[str, str]:
    made = media.write_video(tmp_path / "made.mp4", frames, fps, **options)
    return states(answer(made, pair[0], pair[1], True, None))


def test_every_fault_is_seen(pair: Any, tmp_path: Path) -> None:
    _, _, frames, sound = pair
    dark = (frames // 2).astype(np.uint8)
    good = judged(pair, tmp_path, dark, audio=sound)
    assert set(good.values()) == {"ok"}
    assert judged(pair, tmp_path, frames, audio=sound)["mouth"] == "fail"
    assert judged(pair, tmp_path, dark[:7], audio=sound)["frames"] == "fail"
    assert judged(pair, tmp_path, dark[:, :40], audio=sound).items() >= {("size", "fail"), ("mouth", "fail")}
    assert judged(pair, tmp_path, dark, fps=30, audio=sound)["frame rate"] == "fail"
    assert judged(pair, tmp_path, dark)["sound"] == "fail"
    assert judged(pair, tmp_path, dark, audio=sound[:3000])["sound length"] == "fail"
    other = np.random.default_rng(9).normal(0, 3000, 6400).astype(np.int16)
    assert judged(pair, tmp_path, dark, audio=other)["sound"] == "fail"
    assert judged(pair, tmp_path, dark, audio=sound, synthetic=False)["marked synthetic"] == "fail"


def test_correlation() -> None:
    noise = np.random.default_rng(0).normal(0, 1000, 8000)
    assert _correlation(noise, noise) == pytest.approx(1)
    assert _correlation(noise[300:], noise) > 0.95  # a codec's priming
    assert _correlation(noise, noise[::-1]) < 0.2
    assert _correlation(np.zeros(100), np.zeros(100)) == 1
    assert _correlation(np.zeros(100), noise) == 0
