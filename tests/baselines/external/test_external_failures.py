"""External methods: every way in which a foreign program can end, and what the tables then say."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipbench.baselines.external import load_external
from lipbench.core.errors import LipbenchError, NoFace, Refused, WeightsMissing
from lipbench.core.method import DubJob, Outputs

EXAMPLE = Path(__file__).parents[3] / "examples" / "external_fake"
Make = Callable[..., DubJob]


def run(file: Path, job: DubJob) -> Outputs:
    return load_external(file).synthesize(job)


@pytest.mark.parametrize(
    ("behavior", "reason", "text"),
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
        ("unheard_of", "crash", "no such behavior: unheard_of"),
    ],
)
def test_failures_have_reasons(job: DubJob, fake: Any, behavior: str, reason: str, text: str) -> None:
    with pytest.raises(LipbenchError) as caught:
        run(fake(behavior), job)
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


@pytest.mark.parametrize("behavior", ["hang", "stubborn"])
def test_hanging_programs_and_their_children_are_ended(
    job: DubJob, fake: Any, tmp_path: Path, behavior: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipbench.baselines.external.process.GRACE_S", 0.3)
    pids = tmp_path / "pids"
    for limit in (0.6, 2.4, 9.6, 60.0):  # the longer ones for a machine on which Python starts slowly
        start = time.monotonic()
        with pytest.raises(LipbenchError) as caught:
            run(fake(behavior, timeout_s=limit, env={"vars": {"FAKE_PIDS": str(pids)}}), job)
        assert caught.value.reason == "timeout"
        assert time.monotonic() - start >= limit
        if "hanging" in (job.out / "stdout.txt").read_text():
            break
    assert "hanging" in (job.out / "stdout.txt").read_text()
    numbers = [int(word) for word in pids.read_text().split()]
    assert len(numbers) == 2
    assert not any(alive(pid) for pid in numbers)


def test_nothing_survives_when_lipbench_itself_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lipbench.baselines.external.process import run; import os\n"
        "work = Path(sys.argv[1])\n"
        "run([sys.executable, sys.argv[2], 'hang', '--video', __file__, '--audio', __file__, '--out', 'x'], cwd=work,"
        " env={**os.environ, 'FAKE_PIDS': str(work / 'pids')}, timeout_s=200, stdout=work / 'o', stderr=work / 'e')"
    )
    (tmp_path / "victim.py").write_text(code)
    victim = subprocess.Popen([sys.executable, str(tmp_path / "victim.py"), str(tmp_path), str(EXAMPLE / "fake.py")])
    until(lambda: (tmp_path / "o").exists() and "hanging" in (tmp_path / "o").read_text())
    numbers = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert all(alive(pid) for pid in numbers)
    victim.kill()
    victim.wait()
    until(lambda: not any(alive(pid) for pid in numbers))


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_file_names_its_own_failures(job: DubJob, fake: Any) -> None:
    argv = ["{python}", "-c", "import sys; sys.exit('landmarks.npy is empty')"]
    with pytest.raises(NoFace):
        run(fake("", argv=argv, failures={"no_face": r"landmarks\.npy is empty"}), job)
    with pytest.raises(WeightsMissing):
        run(fake("", argv=argv, failures={"weights_missing": "is empty"}), job)
    with pytest.raises(LipbenchError, match=r"landmarks\.npy is empty") as caught:
        run(fake("", argv=argv), job)
    assert caught.value.reason == "crash"


def test_pass_through_may_be_meant(job: DubJob, fake: Any) -> None:
    assert run(fake("copy", caps={"pass_through": True}), job).info["mouth_change"] == 0


def test_without_a_face_track_only_exact_copies_are_noticed(job: DubJob, make_job: Make, fake: Any) -> None:
    blind = make_job(job.params, faces=False)
    with pytest.raises(LipbenchError, match="anywhere"):
        run(fake("copy"), blind)
    assert run(fake("recode"), blind).info["n_frames"] == 20


def test_programs_that_are_not_there(job: DubJob, fake: Any) -> None:
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


def test_standard_input_is_closed(job: DubJob, fake: Any) -> None:
    argv = ["{python}", "-c", "import sys; sys.exit('read: %r' % sys.stdin.read())"]
    with pytest.raises(LipbenchError, match="read: ''"):
        run(fake("", argv=argv), job)
