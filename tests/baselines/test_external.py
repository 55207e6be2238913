"""External methods: every way in which a foreign program can end, and what the tables then say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lipbench.baselines.external import External, doctor, load_external, read
from lipbench.core import media, registry
from lipbench.core.errors import LipbenchError, NoFace, Refused, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.core.method import Job, Method, Outputs

EXAMPLE = Path(__file__).parents[2] / "examples" / "external_fake"
Make = Callable[..., Job]


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Path]:
    """Writes a method file for the fake: fake("copy", timeout_s=2, ...)."""

    def write(behaviour: str, **fields: Any) -> Path:
        argv = ["{python}", "fake.py", behaviour, "--video", "{video}", "--audio", "{audio}", "--out", "{out}"]
        content = {"name": "fake", "repo": {"path": str(EXAMPLE)}, "argv": argv, **fields}
        if "entry" in content:
            content.pop("argv")
        file = tmp_path / "method.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    return write


def run(file: Path, job: Job) -> Outputs:
    return load_external(file).synthesize(job)


@pytest.fixture
def job(make_job: Make) -> Job:
    return make_job(load_external(EXAMPLE / "method.yaml").spec.params())


# -- it works -----------------------------------------------------------------------------------------------------


def test_the_example_runs(job: Job, clip_files: Path) -> None:
    method = load_external(EXAMPLE / "method.yaml")
    assert isinstance(method, Method)
    assert (method.spec.id, method.spec.licence) == ("fake-freeze", "code: Apache-2.0; weights: none")
    made = method.synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    frames = media.load_frames(made.files["video"])
    assert np.abs(frames[0].astype(int) - frames[19]).mean() < 1.5
    sound, dub = media.read_audio(made.files["video"]), media.read_audio(clip_files / "dub.wav")
    assert np.corrcoef(sound[:12000], dub[:12000])[0, 1] > 0.99
    assert media.is_synthetic(made.files["video"])
    assert made.info["rc"] == 0
    assert made.info["peak_rss_bytes"] > 4 << 20
    assert not (job.out / "work").exists()
    assert {p.name for p in job.out.iterdir()} == {"video.mp4", "stdout.txt", "stderr.txt"}


def test_the_registered_method_takes_a_file(make_job: Make) -> None:
    method = registry.load("methods", "external")
    assert isinstance(method, External)
    params = method.spec.params(file=str(EXAMPLE / "method.yaml"))
    assert media.probe(method.synthesize(make_job(params)).files["video"]).n_frames == 20
    assert method.identity(params, "c1", "fr") == load_external(EXAMPLE / "method.yaml").identity(params, "c1", "fr")


def test_paths_that_upstream_scripts_cannot_stand(job: Job, make_job: Make, tmp_path: Path, fake: Any) -> None:
    out = tmp_path / "a run. with 'dots' & spaces"
    out.mkdir()
    made = run(fake("freeze"), make_job(job.params, out=out))
    assert media.probe(made.files["video"]).n_frames == 20
    words = (out / "video.mp4").exists() and sorted(p.name for p in out.iterdir())
    assert words == ["stderr.txt", "stdout.txt", "video.mp4"]


def test_commands_see_tame_paths(make_job: Make, job: Job, tmp_path: Path, fake: Any) -> None:
    out = tmp_path / "x. y"
    out.mkdir()
    code = "import sys, shutil; print(sys.argv[1:]); shutil.copyfile(sys.argv[1], sys.argv[3])"
    argv = ["{python}", "-c", code, "{video}", "{audio}", "{out}", "{work}", "{fps}", "{name}", "[{gpu}]", "{{video}}"]
    run(fake("", argv=argv, caps={"pass_through": True}), make_job(job.params, out=out))
    words = ast.literal_eval((out / "stdout.txt").read_text())
    assert all(
        set(word) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-") for word in words[:4]
    )
    assert [Path(word).name for word in words[:3]] == ["video.mp4", "audio.wav", "out.mp4"]
    assert all("." not in str(Path(word).parent) for word in words[:3])
    assert words[4:] == ["25", "fake", "[]", "{video}"]


def test_args_and_seed_reach_the_command(job: Job, make_job: Make, fake: Any) -> None:
    file = fake("", argv=["{python}", "fake.py", "--video", "{video}", "--audio", "{audio}", "--out", "{out}"],
                caps={"seed_flag": "--seed"})  # fmt: skip
    method = load_external(file)
    assert method.spec.uses_seed
    method.synthesize(make_job(method.spec.params(args=("freeze",)), seed=7))
    assert not load_external(fake("freeze")).spec.uses_seed


# -- it fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "reason", "text"),
    [
        ("crash", "crash", "code 3"),
        ("crash_hard", "crash", "SIGSEGV"),
        ("no_face", "no_face", "Face not detected!"),
        ("no_face_quiet", "no_face", "Face not detected!"),
        ("oom", "oom", "CUDA out of memory"),
        ("garbage", "bad_output", "cannot be read"),
        ("no_output", "bad_output", "made no video"),
        ("short", "length_mismatch", "10 frames, the dub has 20"),
        ("quarter", "bad_output", "48 x 40, the clip is 96 x 80"),
        ("copy", "pass_through", "returned its input"),
        ("recode", "pass_through", "returned its input"),
        ("unheard_of", "crash", "no such behaviour: unheard_of"),
    ],
)
def test_failures_have_reasons(job: Job, fake: Any, behaviour: str, reason: str, text: str) -> None:
    with pytest.raises(LipbenchError) as caught:
        run(fake(behaviour), job)
    assert caught.value.reason == reason
    assert text in str(caught.value)
    assert caught.value.fix
    assert isinstance(caught.value, NoFace) == (reason == "no_face")
    assert not (job.out / "work").exists()
    assert (job.out / "stdout.txt").exists()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("behaviour", ["hang", "stubborn"])
def test_hanging_programs_and_their_children_are_ended(
    job: Job, fake: Any, tmp_path: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipbench.baselines.external.process.GRACE_S", 0.3)
    pids = tmp_path / "pids"
    start = time.monotonic()
    with pytest.raises(LipbenchError) as caught:
        run(fake(behaviour, timeout_s=1.2, env={"vars": {"FAKE_PIDS": str(pids)}}), job)
    assert caught.value.reason == "timeout"
    assert 1.2 <= time.monotonic() - start < 6
    assert "hanging" in (job.out / "stdout.txt").read_text()
    time.sleep(0.2)
    numbers = [int(word) for word in pids.read_text().split()]
    assert len(numbers) == 2
    assert not any(alive(pid) for pid in numbers)


def test_nothing_survives_when_lipbench_itself_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lipbench.baselines.external.process import run; import os\n"
        "work = Path(sys.argv[1])\n"
        "run([sys.executable, sys.argv[2], 'hang', '--video', __file__, '--audio', __file__, '--out', 'x'], cwd=work,"
        " env={**os.environ, 'FAKE_PIDS': str(work / 'pids')}, timeout_s=60, stdout=work / 'o', stderr=work / 'e')"
    )
    (tmp_path / "victim.py").write_text(code)
    victim = subprocess.Popen([sys.executable, str(tmp_path / "victim.py"), str(tmp_path), str(EXAMPLE / "fake.py")])
    until(lambda: (tmp_path / "o").exists() and "hanging" in (tmp_path / "o").read_text())
    numbers = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert all(alive(pid) for pid in numbers)
    victim.kill()
    victim.wait()
    until(lambda: not any(alive(pid) for pid in numbers))


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_file_names_its_own_failures(job: Job, fake: Any) -> None:
    argv = ["{python}", "-c", "import sys; sys.exit('landmarks.npy is empty')"]
    with pytest.raises(NoFace):
        run(fake("", argv=argv, failures={"no_face": r"landmarks\.npy is empty"}), job)
    with pytest.raises(WeightsMissing):
        run(fake("", argv=argv, failures={"weights_missing": "is empty"}), job)
    with pytest.raises(LipbenchError, match=r"landmarks\.npy is empty") as caught:
        run(fake("", argv=argv), job)
    assert caught.value.reason == "crash"


def test_pass_through_may_be_meant(job: Job, fake: Any) -> None:
    assert run(fake("copy", caps={"pass_through": True}), job).info["mouth_change"] == 0


def test_without_a_face_track_only_exact_copies_are_noticed(job: Job, make_job: Make, fake: Any) -> None:
    blind = make_job(job.params, faces=False)
    with pytest.raises(LipbenchError, match="anywhere"):
        run(fake("copy"), blind)
    assert run(fake("recode"), blind).info["n_frames"] == 20


def test_programs_that_are_not_there(job: Job, fake: Any) -> None:
    with pytest.raises(Refused) as caught:
        run(fake("", argv=["no-such-program-anywhere"]), job)
    assert caught.value.reason == "env_missing"
    with pytest.raises(Refused, match="no program ffmpeg-of-my-dreams") as caught:
        run(fake("copy", needs={"binaries": ["ffmpeg-of-my-dreams"]}), job)
    assert caught.value.reason == "env_missing"
    with pytest.raises(Refused, match="needs a GPU") as caught:
        run(fake("copy", needs={"gpu": True}), job)
    assert caught.value.reason == "gpu_missing"
    with pytest.raises(Refused, match=r"git clone https://example\.org/x") as caught:
        run(fake("copy", repo={"url": "https://example.org/x", "path": "/nowhere"}), job)
    assert caught.value.reason == "repo_missing"
    with pytest.raises(Refused, match="no Python environment") as caught:
        run(fake("copy", env={"type": "venv", "name_or_path": "/nowhere"}), job)
    assert caught.value.reason == "env_missing"


def test_standard_input_is_closed(job: Job, fake: Any) -> None:
    argv = ["{python}", "-c", "import sys; sys.exit('read: %r' % sys.stdin.read())"]
    with pytest.raises(LipbenchError, match="read: ''"):
        run(fake("", argv=argv), job)


# -- finishing touches --------------------------------------------------------------------------------------------


def test_post_steps_bring_it_to_the_clip(job: Job, clip_files: Path, fake: Any) -> None:
    made = run(fake("quarter", post=[{"drop_head": 1}, {"pad_tail": 1}, {"resize": "clip"}, {"mux": "{audio}"}],
                    caps={"pass_through": True}), job)  # fmt: skip
    frames, source = media.load_frames(made.files["video"]), media.load_frames(clip_files / "dub.mp4")
    assert np.abs(frames[:18].astype(int) - source[:18]).mean() < 6


def test_paste_puts_a_crop_back(job: Job, clip_files: Path, fake: Any) -> None:
    code = (
        "import json, sys; sys.path.insert(0, '.'); import fake\n"
        "fps, frames = fake.frames_of(sys.argv[1])\n"
        "fake.write(sys.argv[2], fps, [255 - f[40:72, 24:72] for f in frames])\n"
        "json.dump([[1, 0, 24], [0, 1, 40]], open(sys.argv[3], 'w'))"
    )
    argv = ["{python}", "-c", code, "{video}", "{out}", "{work}/affine.json"]
    source = media.load_frames(clip_files / "dub.mp4").astype(int)
    for blend in ("none", "feather"):
        made = run(fake("", argv=argv, post=[{"paste": "{work}/affine.json", "blend": blend}]), job)
        frames = media.load_frames(made.files["video"]).astype(int)
        assert np.abs(frames[:, :36] - source[:, :36]).mean() < 1
        assert np.abs(frames[:, 50:62, 36:60] - (255 - source[:, 50:62, 36:60])).mean() < 6
        edge = np.abs(frames[:, 41, 30:66] - source[:, 41, 30:66]).mean()
        assert edge > 20 if blend == "none" else edge < 20


def test_folders_of_frames_and_newest_files(job: Job, clip_files: Path, fake: Any) -> None:
    made = run(fake("frames", output={"find": "dir-of-frames", "pattern": "{out}"}), job)
    frames, source = media.load_frames(made.files["video"]), media.load_frames(clip_files / "dub.mp4")
    assert np.abs(frames.astype(int) - source[::-1]).mean() < 2

    argv = ["{python}", "fake.py", "freeze", "--video", "{video}", "--audio", "{audio}", "--out", "results/2024 x.mp4"]
    file = fake("", argv=argv, writable=["results"], output={"find": "newest-glob", "pattern": "results/*.mp4"})
    assert run(file, job).info["n_frames"] == 20
    assert not (EXAMPLE / "results").exists()


def test_other_rates_and_images(job: Job, make_job: Make, fake: Any) -> None:
    argv = ["{python}", "fake.py", "shift", "--video", "{video}", "--audio", "{audio}", "--out", "{out}"]
    made = run(fake("", argv=argv, inputs={"fps": 50, "size": [48, 40], "audio_rate": 8000},
                    post=[{"resize": [96, 80]}]), job)  # fmt: skip
    assert media.probe(made.files["video"]).n_frames == 20

    code = (
        "import sys; sys.path.insert(0, '.'); import fake; assert sys.argv[1].endswith('.png')\n"
        "fps, frames = fake.frames_of(sys.argv[1]); fake.write(sys.argv[2], 25, frames * 20)"
    )
    made = run(fake("", argv=["{python}", "-c", code, "{video}", "{out}"], inputs={"kind": "image"}), job)
    assert made.info["n_frames"] == 20


# -- the private folder -------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    (repo / "examples" / "deep").mkdir(parents=True)
    (repo / "pkg").mkdir()
    (repo / "pkg" / "__init__.py").write_text("VALUE = 5\n")
    (repo / "examples" / "given.txt").write_text("given")
    (repo / "config.yaml").write_text("original")
    (repo / "fake.py").write_text((EXAMPLE / "fake.py").read_text())
    return repo


def test_the_checkout_stays_as_it_is(job: Job, fake: Any, checkout: Path) -> None:
    before = {p.relative_to(checkout): p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    code = (
        "import os, pkg, fake, sys\n"
        "assert pkg.VALUE == 5 and open('examples/given.txt').read() == 'given'\n"
        "open('examples/new.wav', 'w').write('x'); open('temp/deep/t.txt', 'w').write('x'); open('here.txt', 'w')\n"
        "assert open('config.yaml').read() == 'video: %s' % sys.argv[1], open('config.yaml').read()\n"
        "assert open('pkg/sub/task.csv').read() == '{\"a\": {\"b\": 1}}'\n"
        "fake.redraw('freeze', sys.argv[1], sys.argv[2])"
    )
    file = fake("", repo={"path": str(checkout)}, argv=["{python}", "-c", code, "{video}", "{out}"],
                writable=["examples", "temp/deep"],
                files={"config.yaml": "video: {video}", "pkg/sub/task.csv": '{"a": {"b": 1}}'})  # fmt: skip
    assert run(file, job).info["n_frames"] == 20
    after = {p.relative_to(checkout): p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    assert after == before


def test_generated_files_stay_inside(job: Job, fake: Any, checkout: Path) -> None:
    file = fake("copy", repo={"path": str(checkout)}, files={"../../outside.txt": "x"})
    with pytest.raises(Refused, match="outside of the private folder"):
        run(file, job)


def test_prepare_steps_run_first_and_can_fail(job: Job, fake: Any) -> None:
    step = ["{python}", "-c", "open('landmarks.csv', 'w').write('1')"]
    use = ["{python}", "-c", "import sys, fake; open('landmarks.csv'); fake.redraw('freeze', *sys.argv[1:])",
           "{video}", "{out}"]  # fmt: skip
    assert run(fake("", prepare=[step], argv=use), job).info["n_frames"] == 20
    with pytest.raises(LipbenchError, match="code 4"):
        run(fake("", prepare=[["{python}", "-c", "raise SystemExit(4)"]], argv=use), job)


def test_the_environment_is_private(job: Job, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/lipbench")
    code = (
        "import os, sys, tempfile, fake\n"
        "print({k: os.environ.get(k) for k in ('PYTHONPATH', 'CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS', 'HF_HOME')},"
        " tempfile.gettempdir() == sys.argv[3] + '/tmp')\n"
        "fake.redraw('freeze', *sys.argv[1:3])"
    )
    argv = ["{python}", "-c", code, "{video}", "{out}", "{work}"]
    run(fake("", argv=argv, env={"vars": {"HF_HOME": "{repo}/hf"}}), job)
    said = (job.out / "stdout.txt").read_text()
    assert "'PYTHONPATH': None, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1', 'HF_HOME': '/" in said
    assert said.strip().endswith("True")


# -- a Python call in another environment -------------------------------------------------------------------------

WRAPPER = """
import fake
def sync(video, audio, out, behaviour, seed):
    assert seed == "3", seed
    if behaviour == "raise":
        raise ValueError("bad landmark shape")
    fake.redraw(behaviour, video, out)
class Model:
    def __init__(self, scale):
        assert scale == 2
    def run(self, video, audio, out):
        fake.redraw("freeze", video, out)
    __call__ = run
"""


@pytest.mark.parametrize(
    "entry",
    [
        {"call": "wrapper:sync", "args": {"behaviour": "freeze", "seed": "{seed}"}},
        {"call": "wrapper:Model.run", "init": {"scale": 2}},
        {"call": "wrapper:Model", "init": {"scale": 2}, "python": sys.executable},
    ],
)
def test_functions_and_classes(job: Job, make_job: Make, fake: Any, checkout: Path, entry: Mapping[str, Any]) -> None:
    (checkout / "wrapper.py").write_text(WRAPPER)
    made = run(fake("", repo={"path": str(checkout)}, entry=entry), make_job(job.params, seed=3))
    assert made.info["n_frames"] == 20
    assert made.info["versions"]["python"] == sys.version.split()[0]


def test_exceptions_of_a_call(job: Job, make_job: Make, fake: Any, checkout: Path) -> None:
    (checkout / "wrapper.py").write_text(WRAPPER)
    entry = {"call": "wrapper:sync", "args": {"behaviour": "raise", "seed": "3"}}
    with pytest.raises(LipbenchError, match="ValueError: bad landmark shape") as caught:
        run(fake("", repo={"path": str(checkout)}, entry=entry), job)
    assert caught.value.reason == "crash"
    file = fake("", repo={"path": str(checkout)}, entry=entry, failures={"bad_landmarks": "landmark shape"})
    with pytest.raises(LipbenchError) as caught:
        run(file, job)
    assert caught.value.reason == "bad_landmarks"


def test_a_virtual_environment(job: Job, fake: Any, tmp_path: Path) -> None:
    env = tmp_path / "env" / "bin"
    env.mkdir(parents=True)
    # A venv is a folder with an interpreter in bin; this one says that it was used.
    (env / "python").write_text(f'#!/bin/sh\necho "from $VIRTUAL_ENV"\nexec {sys.executable} "$@"\n')
    os.chmod(env / "python", 0o755)
    run(fake("freeze", env={"type": "venv", "name_or_path": str(tmp_path / "env")}), job)
    assert f"from {tmp_path / 'env'}" in (job.out / "stdout.txt").read_text()


# -- identity -----------------------------------------------------------------------------------------------------


def test_identity_follows_what_changes_pixels(fake: Any, checkout: Path) -> None:
    def identity(**fields: Any) -> Mapping[str, Any]:
        return load_external(fake("copy", **{"repo": {"path": str(checkout)}, **fields})).identity(None, "c", "fr")

    first = identity()
    assert identity(timeout_s=5, title="Another title") == first
    assert identity(version="2")["file"] != first["file"]
    assert identity(post=[{"pad_tail": 1}])["file"] != first["file"]
    (checkout / "fake.py").write_text("changed")
    assert identity()["repo"] != first["repo"]


def test_weights_are_checked_and_hashed(job: Job, fake: Any, checkout: Path) -> None:
    (checkout / "w.pt").write_bytes(b"weights")
    digest = sha256_file(checkout / "w.pt")

    def method(**weights: Any) -> Any:
        return load_external(fake("copy", repo={"path": str(checkout), "url": "https://example.org/x"},
                                  weights=[{"path": "w.pt", **weights}]))  # fmt: skip

    assert method(sha256=digest, size=7).identity(None, "c", "fr")["weights"] == {"w.pt": digest}
    with pytest.raises(WeightsMismatch, match="7 bytes, wanted 8"):
        method(size=8).identity(None, "c", "fr")
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        method(sha256="0" * 64).synthesize(job)
    (checkout / "w.pt").unlink()
    with pytest.raises(WeightsMissing, match=r"as https://example\.org/x describes"):
        method().synthesize(job)
    assert method(required=False).identity(None, "c", "fr")["weights"] == {"w.pt": None}
    states = {f.what.split()[0]: f.reason for f in doctor(read(fake("", weights=[{"path": "w.pt"}], argv=["x"])))}
    assert states == {"repo": "", "environment": "", "weights": "weights_missing"}
