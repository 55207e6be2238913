"""Methods that learn a person first: prepare and fit as stages, what they keep, whose face it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipbench import media
from lipbench.baselines.external import load_external
from lipbench.baselines.external.method import ExternalMethod
from lipbench.core.errors import LipbenchError, ManifestError, NoAudio, Refused
from lipbench.core.method import DubJob, Expected, FitJob, PrepareJob

#: A method with three scripts: it counts frames, "trains" on some of them, and shows what it has learnt.
PROCESS = """
import pathlib, sys
import av
with av.open(sys.argv[1]) as video:
    n = sum(1 for _ in video.decode(video=0))
folder = pathlib.Path("data/person")
folder.mkdir(parents=True)
(folder / "frames.txt").write_text(str(n))
(folder / "given.txt").write_text("of the stage")
pathlib.Path("scratch.txt").write_text("not kept")
"""
TRAIN = """
import pathlib, sys, wave
import av
assert pathlib.Path("data/person/given.txt").read_text() == "of the stage"
with av.open(sys.argv[1]) as video:
    n = sum(1 for _ in video.decode(video=0))
with wave.open("{}/audio.wav".format(sys.argv[4])) as sound:
    seconds = sound.getnframes() / sound.getframerate()
folder = pathlib.Path("model/person")
folder.mkdir(parents=True, exist_ok=True)
(folder / "model.txt").write_text("seed {} frames {} of {} {:.2f}s".format(sys.argv[2], n, sys.argv[3], seconds))
"""
DUB = """
import pathlib, shutil, sys
print(pathlib.Path("model/person/model.txt").read_text(), "|", pathlib.Path("data/person/frames.txt").read_text())
with open("model/person/model.txt", "a") as model:
    model.write("written by the dub")
import av
with av.open(sys.argv[1]) as source, av.open(sys.argv[2], "w") as out:
    stream = out.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
    for frame in source.decode(video=0):
        image = 255 - frame.to_ndarray(format="rgb24")
        out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    out.mux(stream.encode(None))
"""


@pytest.fixture
def method(tmp_path: Path) -> Callable[..., ExternalMethod]:
    repo = tmp_path / "repo"
    (repo / "model" / "person").mkdir(parents=True)
    (repo / "model" / "person" / "readme.txt").write_text("of the checkout")
    for name, text in (("process.py", PROCESS), ("train.py", TRAIN), ("dub.py", DUB)):
        (repo / name).write_text(text)

    def make(**fields: Any) -> ExternalMethod:
        content: dict[str, Any] = {
            "name": "learner",
            "repo": {"path": str(repo)},
            "prepare": {"commands": [["{python}", "process.py", "{video}"]], "keep": ["data/person"]},
            "fit": {
                "commands": [["{python}", "train.py", "{video}", "{seed}", "{train_frames}", "{work}"]],
                "keep": ["model/person"],
            },
            "writable": ["model/person"],
            "argv": ["{python}", "dub.py", "{video}", "{out}"],
            "needs": {"faces": False},
        }
        file = tmp_path / "learner.yaml"
        file.write_text(yaml.safe_dump({k: v for k, v in {**content, **fields}.items() if v is not None}))
        return load_external(file)

    return make


def stages(made: ExternalMethod, job: DubJob, tmp_path: Path, **more: Any) -> tuple[PrepareJob, FitJob, DubJob]:
    common = {"clip": job.clip, "params": job.params, "seed": 7, "log": job.log, **more}
    folders = [tmp_path / name for name in ("p", "f", "d")]
    for folder in folders:
        folder.mkdir()
    prepare = PrepareJob(out=folders[0], **common)
    fit = FitJob(out=folders[1], prepare_folder=folders[0], **common)
    return prepare, fit, DubJob(
        out=folders[2], dub=job.dub, prepare_folder=folders[0], fit_folder=folders[1], **common
    )  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*.txt"))}


def test_what_a_stage_makes_reaches_the_next(
    method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    made = method()
    assert made.spec.stages == ("prepare", "fit", "synthesize")
    assert (made.spec.uses_train_seconds, made.spec.uses_seed) == (True, True)
    before = contents(made.located.repo)
    prepare, fit, dub = stages(made, make_job(made.spec.params()), tmp_path, train_seconds=0.4)
    info = made.prepare(prepare).info
    assert contents(prepare.out / "kept") == {"data/person/frames.txt": "20", "data/person/given.txt": "of the stage"}
    assert (info["kept_files"], info["kept_bytes"]) == (2, 14)
    made.fit(fit)
    # The clip is cut to the train length, picture and sound; what the checkout has is not kept again.
    assert contents(fit.out / "kept") == {"model/person/model.txt": "seed 7 frames 10 of 10 0.40s"}
    result = made.synthesize(dub)
    assert "seed 7 frames 10 of 10 0.40s | 20" in result.files["stdout"].read_text()
    assert media.probe(result.files["video"]).n_frames == 20
    # A dub writes into a copy: the next one finds the model as it was trained.
    assert contents(fit.out / "kept") == {"model/person/model.txt": "seed 7 frames 10 of 10 0.40s"}
    assert contents(made.located.repo) == before


def test_a_stage_that_makes_nothing_fails(
    method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    made = method(
        prepare={"commands": [["{python}", "process.py", "{video}"]], "keep": ["data/person", "model/person"]}
    )
    prepare, _, _ = stages(made, make_job(made.spec.params()), tmp_path)
    with pytest.raises(LipbenchError, match="the commands made no model/person") as caught:
        made.prepare(prepare)
    assert caught.value.reason == "bad_output"
    assert not (prepare.out / "work").exists()


def test_a_stage_that_crashes_says_so(
    method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    made = method(fit={"commands": [["{python}", "-c", "raise SystemExit('no GPU here')"]], "keep": ["model"]})
    _, fit, _ = stages(made, make_job(made.spec.params()), tmp_path)
    with pytest.raises(LipbenchError) as caught:
        made.fit(fit)
    assert (caught.value.reason, caught.value.why) == ("crash", "no GPU here")


def test_a_mute_clip_teaches_nothing(
    method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob], tmp_path: Path
) -> None:
    made = method()
    job = make_job(made.spec.params(), clip={"audio": None})
    with pytest.raises(NoAudio, match="cannot learn from the clip c1"):
        made.prepare(stages(made, job, tmp_path)[0])


def test_each_stage_has_its_own_key(method: Callable[..., ExternalMethod]) -> None:
    def keys(**fields: Any) -> dict[str, Any]:
        made = method(**fields)
        params = made.spec.params(args=fields.pop("args", ()))
        return {kind: made.stage_inputs(kind, params)[0] for kind in ("prepare", "fit", "synthesize")}

    first = keys()

    def changed(**fields: Any) -> set[str]:
        return {kind for kind, content in keys(**fields).items() if content != first[kind]}

    assert changed(argv=["{python}", "dub.py", "{video}", "{out}", "--fast"]) == {"synthesize"}
    assert changed(post=[{"pad_tail": 1}]) == {"synthesize"}
    assert changed(prepare={"commands": [["{python}", "process.py", "x"]], "keep": ["data"]}) == {"prepare"}
    assert changed(fit={"commands": [["{python}", "train.py"]], "keep": ["model"]}) == {"fit"}
    assert changed(version="2") == changed(env={"vars": {"A": "1"}}) == {"prepare", "fit", "synthesize"}
    assert changed(title="x", status="run", deviations=["y"], timeout_s=9) == set()


def test_a_training_that_does_not_look_at_the_length_runs_once(method: Callable[..., ExternalMethod]) -> None:
    made = method(fit={"commands": [["{python}", "train.py", "data/person"]], "keep": ["model"]})
    assert not made.spec.uses_train_seconds
    assert not method(prepare=None, fit=None).spec.uses_train_seconds


def test_whose_face_it_is(method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob]) -> None:
    made = method(prepare=None, fit=None, person="anna", argv=["{python}", "dub.py", "{video}", "{out}"])
    (made.located.repo / "data" / "person").mkdir(parents=True)
    (made.located.repo / "data" / "person" / "frames.txt").write_text("99")
    (made.located.repo / "model" / "person" / "model.txt").write_text("Anna")
    job = make_job(made.spec.params(), clip={"speaker": "bert"})
    with pytest.raises(Refused) as caught:
        made.synthesize(job)
    assert (caught.value.reason, caught.value.kept) == ("wrong_person", False)
    assert caught.value.why == "the clip's speaker is bert"
    with pytest.raises(Refused, match="nothing says who speaks"):
        made.synthesize(make_job(made.spec.params()))
    with pytest.raises(Refused, match="has learnt anna"):  # known before anything runs
        made.examine(job.params, Expected("c1", "fr", "c1.fr", 96, 80, 25.0, 20, "bert"), None, 0)
    made.examine(job.params, Expected("c1", "fr", "c1.fr", 96, 80, 25.0, 20, "anna"), None, 0)
    assert made.synthesize(make_job(made.spec.params(), clip={"speaker": "anna"})).info["n_frames"] == 20
    assert made.stage_inputs("synthesize", made.spec.params(speaker="anna")) == made.stage_inputs(
        "synthesize", made.spec.params()
    )


def test_who_it_is_can_be_said(method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob]) -> None:
    made = method(prepare=None, fit=None, person="anna", argv=["{python}", "-c", "raise SystemExit(3)"])
    job = make_job(made.spec.params(speaker="anna"))
    with pytest.raises(LipbenchError) as caught:
        made.synthesize(replace(job, clip=replace(job.clip, speaker="unknown")))
    assert caught.value.reason == "crash"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prepare": [["{python}", "x.py"]]}, "commands to run before every dub stand under `before`"),
        ({"cwd": "repo"}, "use `cwd: private`"),
        ({"person": "anna"}, "needs no person"),
        ({"prepare": {"commands": [["a", "{train_frames}"]], "keep": ["x"]}}, "under `fit`"),
        ({"fit": {"commands": [["a"]], "keep": ["../x"]}}, "must lie inside the checkout"),
    ],
)
def test_what_a_file_may_not_say(method: Callable[..., ExternalMethod], fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        method(**fields)
    assert said in str(caught.value)


def test_as_a_parameter_such_a_file_is_refused(
    method: Callable[..., ExternalMethod], make_job: Callable[..., DubJob]
) -> None:
    from lipbench.core import registry

    external = registry.load("methods", "external")
    params = external.spec.params(file=str(method().located.file))
    with pytest.raises(Refused, match="cannot train learner"):
        external.identity(params, "c1", "fr")
