"""The method files that come with lipbench, run against programs that take and leave what the real ones do."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.external import ready
from lipbench.baselines.external.config import Env, Needs, Output
from lipbench.baselines.external.method import ExternalMethod
from lipbench.baselines.external.reading import MethodFile, read
from lipbench.cli.doctor_external import frame_count, options_exist
from lipbench.core.errors import LipbenchError
from lipbench.core.method import DubJob, FitJob, PrepareJob


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


standins, persons, later = (_beside(f"standins{name}") for name in ("", "_persons", "_of_2025"))
#: name -> files of its repository.
FILES = {name: files for module in (standins, persons, later) for name, (files, _) in module.PROGRAMS.items()}
#: name -> frames that it makes of a dub of 20.
MADE = {name: 20 + more for module in (standins, persons) for name, (_, more) in module.PROGRAMS.items()}
MADE |= {name: made for name, (_, made) in later.PROGRAMS.items()}
#: Those that learn nobody.
AT_ONCE = [name for name in FILES if name not in persons.PROGRAMS]

Ready = Callable[..., MethodFile]


@pytest.fixture
def at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ready:
    """A ready file with its stand-in, in lipbench's own Python: at_hand(name, **fields to replace)."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    program = tmp_path / "bin" / "FeatureExtraction"
    program.parent.mkdir()
    program.write_text(persons.OPENFACE.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, **fields: Any) -> MethodFile:
        repo = tmp_path / name
        definition = read(ready.FOLDER / f"{name}.yaml").definition
        content = dict(FILES[name])
        # Beside every script, and where modules are started: Python looks there.
        content |= {"standin.py": standins.COMMON}
        content |= {f"{Path(file).parent}/standin.py": standins.COMMON for file in FILES[name]}
        content |= {w.path: "weights" for w in definition.weights}
        for file, text in content.items():
            (repo / file).parent.mkdir(parents=True, exist_ok=True)
            (repo / file).write_text(text)
        here = {
            "env": Env(vars=definition.env.vars),
            "needs": Needs(),
            "weights": tuple(w.model_copy(update={"size": None, "sha256": None}) for w in definition.weights),
            "repo": definition.repo.model_copy(update={"path": str(repo), "commit": ""}),
        }
        return MethodFile(definition=definition.model_copy(update=here | fields), file=tmp_path / f"{name}.yaml")

    return make


def dub(
    located: MethodFile, make_job: Callable[..., DubJob], folder: Path | None = None, **job: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """What a method makes of the dub; of one that learns a person, below `folder`, after it has done so."""
    method = ExternalMethod(located)
    given = make_job(method.spec.params(), **job)
    if "fit" not in method.spec.stages:
        made = method.synthesize(given)
        return dict(made.info), media.load_frames(made.files["video"])
    assert folder is not None
    common = {"clip": given.clip, "params": given.params, "seed": given.seed, "train_seconds": given.train_seconds}
    prepared, fitted, out = (folder / f"{located.definition.name}-{kind}" for kind in ("prepare", "fit", "dub"))
    for place in (prepared, fitted, out):
        place.mkdir()
    method.prepare(PrepareJob(out=prepared, **common))
    method.fit(FitJob(out=fitted, prepare_folder=prepared, **common))
    made = method.synthesize(DubJob(out=out, dub=given.dub, prepare_folder=prepared, fit_folder=fitted, **common))
    info = dict(made.info) | {"said": made.files["stdout"].read_text()}
    return info, media.load_frames(made.files["video"])


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_file_has_a_stand_in() -> None:
    assert {*FILES, "makeittalk-original"} == set(ready.names())  # that one has a test of its own


@pytest.mark.parametrize("name", FILES)
def test_the_right_video_with_the_right_frames(
    name: str, at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    located = at_hand(name)
    before = contents(located.repo)
    info, frames = dub(located, make_job, tmp_path)
    assert frames.shape == (20, 80, 96, 3)
    assert np.abs(frames.astype(int) - standins.RESULT).max() < 12
    assert info["frames_made"] == MADE[name]
    assert frame_count(located.definition, info, 20).state == "ok"
    kept = {p: c for p, c in contents(located.repo).items() if "gfpgan/weights" not in str(p)}
    assert kept == before


@pytest.mark.parametrize("name", FILES)
def test_the_script_has_the_options(name: str, at_hand: Ready) -> None:
    located = at_hand(name)
    assert options_exist(located).state == "ok"
    argv = located.definition.argv
    assert argv is not None
    wrong = options_exist(at_hand(name, argv=(*argv, "--no_such_option", "1")))
    assert (wrong.state, "--no_such_option" in wrong.detail) == ("fail", True)


def why(located: MethodFile, make_job: Callable[..., DubJob], folder: Path | None = None) -> LipbenchError:
    with pytest.raises(LipbenchError) as caught:
        dub(located, make_job, folder)
    return caught.value


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("er-nerf", "trial_person_torso/results/*.mp4"), ("synctalk", "model/trial_person/results/*.mp4")],
)
def test_a_pattern_that_also_matches_the_depth_map_is_refused(
    name: str, pattern: str, at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    error = why(at_hand(name, output=Output(find="newest-glob", pattern=pattern)), make_job, tmp_path)
    assert error.reason == "bad_output"
    assert "_depth.mp4" in error.why


def test_the_mouth_alone_is_refused(at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path) -> None:
    located = at_hand("talking-gaussian", output=Output(find="newest-glob", pattern="output/person/**/*.mp4"))
    argv = tuple(word for word in located.definition.argv or () if word != "--fast")
    slow = located.model_copy(update={"definition": located.definition.model_copy(update={"argv": argv})})
    error = why(slow, make_job, tmp_path)
    assert error.reason == "bad_output"
    assert "made 3 videos" in error.what
    assert "out_mouth.mp4" in error.why


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("video-retalking", "length_mismatch", "it has 17 frames, the dub has 20"),
        ("ip-lap", "length_mismatch", "it has 16 frames"),
        ("latentsync", "length_mismatch", "it has 22 frames"),
        ("wav2lip-original", "length_mismatch", "it has 17 frames"),
        ("diff2lip", "length_mismatch", "it has 17 frames"),
    ],
)
def test_without_their_tails(
    name: str, reason: str, said: str, at_hand: Ready, make_job: Callable[..., DubJob]
) -> None:
    error = why(at_hand(name, post=()), make_job)
    assert (error.reason, said in error.why) == (reason, True)
    assert "with `drop_tail`" in error.fix if name == "latentsync" else "with `pad_tail`" in error.fix


def test_sketch_and_face_side_by_side(at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand("ip-lap")
    error = why(at_hand("ip-lap", post=located.definition.post[1:]), make_job)
    assert (error.reason, "192 x 80" in error.why) == ("bad_output", True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sonic", ""),
        ("keysync", "length_mismatch"),
        ("echomimic-v3", "length_mismatch"),
        ("infinitetalk", "crash"),
        ("dinet", ""),
        ("real3dportrait", ""),
    ],
)
def test_handed_over_as_long_as_it_is(name: str, reason: str, at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    """Without the frames that the files ask for: too short, refused, or one off, which a run accepts."""
    inputs = read(ready.FOLDER / f"{name}.yaml").definition.inputs
    located = at_hand(name, inputs=inputs.model_copy(update={"extra_frames": 0, "min_frames": 0}))
    if reason:
        error = why(located, make_job)
        assert error.reason == reason
        assert name != "infinitetalk" or "length not satisfies" in error.why
    else:
        _, frames = dub(located, make_job)
        assert len(frames) in (19, 20)


def test_they_learn_as_much_as_they_are_told(at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path) -> None:
    said = {}
    for name in persons.PROGRAMS:
        info, _ = dub(at_hand(name), make_job, tmp_path, train_seconds=0.2, seed=3)
        said[name] = info["said"].strip()
    assert said == {
        "er-nerf": "trained on 5 frames, seed 3, ['head', 'finetune', 'torso']",
        "synctalk": "trained on 5 frames, seed 3, ['head', 'finetune']",
        "talking-gaussian": "trained on 5 frames",
    }


def test_results_of_training_do_not_count(at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path) -> None:
    """Its training ends with a video of its own, under the name that the dub's will have."""
    located = at_hand("er-nerf")
    dub(located, make_job, tmp_path)
    kept = tmp_path / "er-nerf-fit" / "kept" / "trial_person_torso" / "results" / "ngp_ep0040.mp4"
    assert media.probe(kept).n_frames == 3
    assert media.probe(tmp_path / "er-nerf-dub" / "video.mp4").n_frames == 20


@pytest.mark.parametrize("name", ["diff2lip", "real3dportrait"])
def test_they_say_that_there_is_no_face(name: str, at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand(name)
    env = located.definition.env.model_copy(update={"vars": {**located.definition.env.vars, "NO_FACE": "1"}})
    assert why(at_hand(name, env=env), make_job).reason == "no_face"


@pytest.mark.parametrize("faces", ["0", "-1"])
def test_musetalk_says_that_it_found_no_face(faces: str, at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand("musetalk", env=Env(vars={"FACES": faces}))
    error = why(located, make_job)
    assert error.reason == "no_face"


def test_no_output_at_all(at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand("sadtalker")
    (located.repo / "inference.py").write_text("print('done')")
    error = why(located, make_job)
    assert (error.reason, error.what) == ("bad_output", "the command made no video")
