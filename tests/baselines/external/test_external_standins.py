"""The method files that come with lipbench, run against programs that take and leave what the real ones do."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
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
from lipbench.core.method import DubJob

_spec = importlib.util.spec_from_file_location("standins", Path(__file__).with_name("standins.py"))
assert _spec is not None
assert _spec.loader is not None
standins = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(standins)

Ready = Callable[..., MethodFile]


@pytest.fixture
def at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ready:
    """A ready file with its stand-in, in lipbench's own Python: at_hand(name, **fields to replace)."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def make(name: str, **fields: Any) -> MethodFile:
        repo = tmp_path / name
        definition = read(ready.FOLDER / f"{name}.yaml").definition
        content = dict(standins.PROGRAMS[name][0]) | {"standin.py": standins.COMMON}
        content |= {w.path: "weights" for w in definition.weights}
        for file, text in content.items():
            (repo / file).parent.mkdir(parents=True, exist_ok=True)
            (repo / file).write_text(text)
        here = {
            "env": Env(),
            "needs": Needs(),
            "repo": definition.repo.model_copy(update={"path": str(repo), "commit": ""}),
        }
        return MethodFile(definition=definition.model_copy(update=here | fields), file=tmp_path / f"{name}.yaml")

    return make


def dub(located: MethodFile, make_job: Callable[..., DubJob]) -> tuple[dict[str, Any], np.ndarray]:
    method = ExternalMethod(located)
    made = method.synthesize(make_job(method.spec.params()))
    return dict(made.info), media.load_frames(made.files["video"])


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", standins.PROGRAMS)
def test_the_right_video_with_the_right_frames(
    name: str, at_hand: Ready, make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    located = at_hand(name)
    before = contents(located.repo)
    info, frames = dub(located, make_job)
    assert frames.shape == (20, 80, 96, 3)
    assert np.abs(frames.astype(int) - standins.RESULT).max() < 12
    assert info["frames_made"] == 20 + standins.PROGRAMS[name][1]
    assert frame_count(located.definition, info, 20).state == "ok"
    kept = {p: c for p, c in contents(located.repo).items() if "gfpgan/weights" not in str(p)}
    assert kept == before


@pytest.mark.parametrize("name", standins.PROGRAMS)
def test_the_script_has_the_options(name: str, at_hand: Ready) -> None:
    located = at_hand(name)
    assert options_exist(located).state == "ok"
    argv = located.definition.argv
    assert argv is not None
    wrong = options_exist(at_hand(name, argv=(*argv, "--no_such_option", "1")))
    assert (wrong.state, "--no_such_option" in wrong.detail) == ("fail", True)


def why(located: MethodFile, make_job: Callable[..., DubJob]) -> LipbenchError:
    with pytest.raises(LipbenchError) as caught:
        dub(located, make_job)
    return caught.value


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("er-nerf", "trial_person_torso/results/*.mp4"), ("synctalk", "model/trial_person/results/*.mp4")],
)
def test_a_pattern_that_also_matches_the_depth_map_is_refused(
    name: str, pattern: str, at_hand: Ready, make_job: Callable[..., DubJob]
) -> None:
    error = why(at_hand(name, output=Output(find="newest-glob", pattern=pattern)), make_job)
    assert error.reason == "bad_output"
    assert "_depth.mp4" in error.why


def test_the_mouth_alone_is_refused(at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand("talking-gaussian", output=Output(find="newest-glob", pattern="output/person/**/*.mp4"))
    argv = tuple(word for word in located.definition.argv or () if word != "--fast")
    slow = located.model_copy(update={"definition": located.definition.model_copy(update={"argv": argv})})
    error = why(slow, make_job)
    assert error.reason == "bad_output"
    assert "made 3 videos" in error.what
    assert "out_mouth.mp4" in error.why


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("video-retalking", "length_mismatch", "it has 17 frames, the dub has 20"),
        ("ip-lap", "length_mismatch", "it has 16 frames"),
        ("latentsync", "length_mismatch", "it has 22 frames"),
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


def test_results_of_training_stay_as_they_are(at_hand: Ready, make_job: Callable[..., DubJob]) -> None:
    located = at_hand("er-nerf")
    results = located.repo / "trial_person_torso" / "results"
    results.mkdir()
    for name in ("ngp_ep0028.mp4", "ngp_ep0028_depth.mp4"):
        (results / name).write_bytes(b"of training")
    (located.repo / "trial_person_torso" / "log_ngp.txt").write_text("of training")
    before = contents(located.repo)
    _, frames = dub(located, make_job)
    assert np.abs(frames.astype(int) - standins.RESULT).max() < 12
    assert contents(located.repo) == before


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
