"""External methods: the private copy of the checkout, calls in other environments, identity."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lipbench.baselines.external import doctor, load_external, read
from lipbench.core.errors import LipbenchError, Refused, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.core.method import DubJob, Outputs

EXAMPLE = Path(__file__).parents[3] / "examples" / "external_fake"
Make = Callable[..., DubJob]


def run(file: Path, job: DubJob) -> Outputs:
    return load_external(file).synthesize(job)


def test_the_checkout_stays_as_it_is(job: DubJob, fake: Any, checkout: Path) -> None:
    before = {p.relative_to(checkout): p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    code = (
        "import os, pkg, fake, sys\n"
        "assert pkg.VALUE == 5 and open('examples/given.txt').read() == 'given'\n"
        "open('examples/new.wav', 'w').write('x'); open('temp/deep/t.txt', 'w').write('x'); open('here.txt', 'w')\n"
        "assert open('config.yaml').read() == 'video: %s' % sys.argv[1], open('config.yaml').read()\n"
        "assert open('pkg/sub/task.csv').read() == '{\"a\": {\"b\": 1}}'\n"
        "fake.redraw('freeze', sys.argv[1], sys.argv[2])"
    )
    file = fake(
        "",
        repo={"path": str(checkout)},
        argv=["{python}", "-c", code, "{video}", "{out}"],
        writable=["examples", "temp/deep"],
        files={"config.yaml": "video: {video}", "pkg/sub/task.csv": '{"a": {"b": 1}}'},
    )
    assert run(file, job).info["n_frames"] == 20
    after = {p.relative_to(checkout): p.read_bytes() for p in checkout.rglob("*") if p.is_file()}
    assert after == before


def test_generated_files_stay_inside(job: DubJob, fake: Any, checkout: Path) -> None:
    file = fake("copy", repo={"path": str(checkout)}, files={"../../outside.txt": "x"})
    with pytest.raises(Refused, match="outside of the private folder"):
        run(file, job)


def test_commands_before_run_first_and_can_fail(job: DubJob, fake: Any) -> None:
    step = ["{python}", "-c", "open('landmarks.csv', 'w').write('1')"]
    use = [
        "{python}",
        "-c",
        "import sys, fake; open('landmarks.csv'); fake.redraw('freeze', *sys.argv[1:])",
        "{video}",
        "{out}",
    ]
    assert run(fake("", before=[step], argv=use), job).info["n_frames"] == 20
    with pytest.raises(LipbenchError, match="code 4"):
        run(fake("", before=[["{python}", "-c", "raise SystemExit(4)"]], argv=use), job)


def test_the_environment_is_private(job: DubJob, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


WRAPPER = """
import fake
def sync(video, audio, out, behavior, seed):
    assert seed == "3", seed
    if behavior == "raise":
        raise ValueError("bad landmark shape")
    fake.redraw(behavior, video, out)
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
        {"call": "wrapper:sync", "args": {"behavior": "freeze", "seed": "{seed}"}},
        {"call": "wrapper:Model.run", "init": {"scale": 2}},
        {"call": "wrapper:Model", "init": {"scale": 2}, "python": sys.executable},
    ],
)
def test_functions_and_classes(
    job: DubJob, make_job: Make, fake: Any, checkout: Path, entry: Mapping[str, Any]
) -> None:
    (checkout / "wrapper.py").write_text(WRAPPER)
    made = run(fake("", repo={"path": str(checkout)}, entry=entry), make_job(job.params, seed=3))
    assert made.info["n_frames"] == 20
    assert made.info["versions"]["python"] == sys.version.split()[0]


def test_exceptions_of_a_call(job: DubJob, make_job: Make, fake: Any, checkout: Path) -> None:
    (checkout / "wrapper.py").write_text(WRAPPER)
    entry = {"call": "wrapper:sync", "args": {"behavior": "raise", "seed": "3"}}
    with pytest.raises(LipbenchError, match="ValueError: bad landmark shape") as caught:
        run(fake("", repo={"path": str(checkout)}, entry=entry), job)
    assert caught.value.reason == "crash"
    file = fake("", repo={"path": str(checkout)}, entry=entry, failures={"bad_landmarks": "landmark shape"})
    with pytest.raises(LipbenchError) as caught:
        run(file, job)
    assert caught.value.reason == "bad_landmarks"


def test_a_virtual_environment(job: DubJob, fake: Any, tmp_path: Path) -> None:
    env = tmp_path / "env" / "bin"
    env.mkdir(parents=True)
    # A venv is a folder with an interpreter in bin; this one says that it was used.
    (env / "python").write_text(f'#!/bin/sh\necho "from $VIRTUAL_ENV"\nexec {sys.executable} "$@"\n')
    os.chmod(env / "python", 0o755)
    run(fake("freeze", env={"type": "venv", "name_or_path": str(tmp_path / "env")}), job)
    assert f"from {tmp_path / 'env'}" in (job.out / "stdout.txt").read_text()


def test_identity_follows_what_changes_pixels(fake: Any, checkout: Path) -> None:
    def identity(**fields: Any) -> Mapping[str, Any]:
        method = load_external(fake("copy", **{"repo": {"path": str(checkout)}, **fields}))
        read, _ = method.stage_inputs("synthesize", method.spec.params())
        return {**method.identity(None, "c", "fr"), **read}

    first = identity()
    assert identity(timeout_s=5, title="Another title") == first
    assert identity(version="2")["file"] != first["file"]
    assert identity(post=[{"pad_tail": 1}])["file"] != first["file"]
    (checkout / "fake.py").write_text("changed")
    assert identity()["repo"] != first["repo"]


def test_weights_are_checked_and_hashed(job: DubJob, fake: Any, checkout: Path) -> None:
    (checkout / "w.pt").write_bytes(b"weights")
    digest = sha256_file(checkout / "w.pt")

    def method(**weights: Any) -> Any:
        return load_external(
            fake(
                "copy",
                repo={"path": str(checkout), "url": "https://example.org/x"},
                weights=[{"path": "w.pt", **weights}],
            )
        )

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
