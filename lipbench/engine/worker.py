"""A long-lived worker process: reads tasks as JSON lines, answers with JSON lines, imports torch once.

    stdin   {"kind", "key", "task", "workspace", "device", "threads"}
    fd 3    {"status", "outputs", "info", "scores", "timing", "error", "provenance"}

Everything a stage prints (native code included) goes to the stage's log.txt. The worker dies with its parent.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench.core.system import die_with_parent, peak_rss_mb, reset_peak

RESULT_FD = 3


def perform(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one stage in this process and describe the outcome; never raises what a stage raises."""
    from lipbench.core.errors import FINAL_REASONS, LipbenchError, disk_full
    from lipbench.core.keys import sha256_file
    from lipbench.core.provenance import provenance
    from lipbench.engine.score_json import jsonable
    from lipbench.engine.stages import execute

    out = Path(request["workspace"]) / "out"
    reset_peak()
    started, wall, cpu = time.time(), time.perf_counter(), _cpu()
    answer: dict[str, Any] = {"status": "ok", "outputs": {}, "info": {}, "scores": {}, "error": None}
    try:
        files, info, scores = execute(request["kind"], request["task"], out, request["device"], request["threads"])
        for name, path in files.items():
            inside = path.resolve().relative_to(out.resolve())
            answer["outputs"][name] = {
                "path": f"out/{inside.as_posix()}",
                "sha256": sha256_file(path),
                "bytes": path.stat().st_size,
                **_picture(path),
            }
        answer["info"], answer["scores"] = jsonable(info), scores
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, OSError):
            try:
                error = disk_full(error, out)
            except OSError:
                pass
        expected = isinstance(error, LipbenchError)
        reason = error.reason if isinstance(error, LipbenchError) else "exception"
        if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
            reason = "oom"
        answer["status"] = "oom" if reason == "oom" else "refused" if reason in FINAL_REASONS else "error"
        answer["error"] = {
            "reason": reason,
            "what": error.what if isinstance(error, LipbenchError) else f"{type(error).__name__}: {error}",
            "why": error.why if isinstance(error, LipbenchError) else "",
            "fix": error.fix if isinstance(error, LipbenchError) else "",
            "traceback": "" if expected else "".join(traceback.format_exception(error))[-4000:],
        }
    answer["timing"] = {
        "started": started,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": _cpu() - cpu,
        "peak_rss_mb": peak_rss_mb(),
    }
    answer["provenance"] = provenance()
    return answer


def _picture(path: Path) -> dict[str, str]:
    """The hash of a video's picture alone: copies of it under other sounds share what is found in it."""
    from lipbench import media
    from lipbench.core.errors import MediaError

    if path.suffix != ".mp4":
        return {}
    try:
        return {"picture": media.picture_sha256(path)}
    except MediaError:  # an output that is only called like a video
        return {}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Serve tasks until stdin closes."""
    die_with_parent()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    results = os.fdopen(RESULT_FD, "w", encoding="utf-8")
    threads_set = False
    for line in requests:
        request = json.loads(line)
        log = os.open(Path(request["workspace"]) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        if not threads_set:
            _limit_threads(request["threads"])
            threads_set = True
        answer = perform(request)
        sys.stdout.flush()
        sys.stderr.flush()
        results.write(json.dumps(answer, allow_nan=False) + "\n")
        results.flush()


def _limit_threads(threads: int) -> None:
    # torch, numpy and numba take theirs from the environment that the executor sets; OpenCV does not.
    import cv2

    cv2.setNumThreads(threads)


if __name__ == "__main__":
    main()
