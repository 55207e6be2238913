"""A long-lived worker process: reads tasks as JSON lines, answers with JSON lines, imports torch once.

    stdin   {"kind", "key", "task", "inputs", "workspace", "device", "threads"}
    fd 3    {"status", "outputs", "rest", "info", "scores", "timing", "error", "provenance"}

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

from lipbench.core.memory import give_back_freed_memory, keep_freed_memory
from lipbench.core.system import die_with_parent, peak_rss_mb, reset_peak

RESULT_FD = 3


def perform(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one stage in this process and describe the outcome; never raises what a stage raises.

    What it reads of other stages (`inputs`) is checked before and looked at afterwards: the status "damaged" names, in
    `damaged`, the keys of those that are not what was written. Then there is no result.
    """
    from lipbench.core.errors import FINAL_REASONS, LipbenchError, MediaError, disk_full
    from lipbench.core.integrity import describe
    from lipbench.core.provenance import provenance
    from lipbench.engine.custody import damaged, state
    from lipbench.engine.score_json import jsonable
    from lipbench.engine.stages import execute

    out = Path(request["workspace"]) / "out"
    inputs = request.get("inputs") or []
    reset_peak()
    started, wall, cpu = time.time(), time.perf_counter(), _cpu()
    answer: dict[str, Any] = {"status": "ok", "outputs": {}, "rest": None, "info": {}, "scores": {}, "error": None}
    lost = damaged(inputs)
    before = state(inputs)
    try:
        if not lost:
            files, info, scores = execute(request["kind"], request["task"], out, request["device"], request["threads"])
            answer["outputs"], answer["rest"] = describe(out, files)
            for name, path in files.items():
                answer["outputs"][name] |= _picture(path)
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
        # A file of the run itself is no input that somebody gave: that it cannot be read is not the last word on it.
        own = isinstance(error, MediaError) and _names(error, [str(out), *(i["directory"] for i in inputs)])
        final = reason in FINAL_REASONS and not own
        answer["status"] = "oom" if reason == "oom" else "refused" if final else "error"
        answer["kept"] = getattr(error, "kept", True)
        answer["error"] = {
            "reason": reason,
            "what": error.what if isinstance(error, LipbenchError) else f"{type(error).__name__}: {error}",
            "why": error.why if isinstance(error, LipbenchError) else "",
            "fix": error.fix if isinstance(error, LipbenchError) else "",
            "traceback": "" if expected else "".join(traceback.format_exception(error))[-4000:],
        }
    if not lost and (answer["status"] != "ok" or state(inputs) != before):
        lost = damaged(inputs, all_content=True)
    if lost:
        answer |= {"status": "damaged", "damaged": sorted(lost), "outputs": {}, "rest": None, "info": {}, "scores": {}}
        why = "; ".join(lost.values())
        answer["error"] = {
            "reason": "damaged",
            "what": "what the stage reads is not what was written",
            "why": why,
            "fix": "see what changes files in the run directory, and that its disk is sound",
            "traceback": "",
        }
        print(f"damaged inputs: {why}", flush=True)
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
        return {"picture": media.image_sha256(path)}
    except MediaError:  # an output that is only called like a video
        return {}


def _names(error: Exception, folders: list[str]) -> bool:
    """Whether an error speaks of a file below one of these folders."""
    return any(f"{folder}/" in str(error) for folder in folders)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(parent: int | None = None) -> None:
    """Serve tasks until stdin closes.

    Args:
        parent: process id of who started this worker; when it died meanwhile, nothing is served.
    """
    die_with_parent(parent)
    keep_freed_memory()
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
            limit_threads(request["threads"])
            threads_set = True
        answer = perform(request)
        sys.stdout.flush()
        sys.stderr.flush()
        results.write(json.dumps(answer, allow_nan=False) + "\n")
        results.flush()
        give_back_freed_memory()  # the next stage may be long in coming


def limit_threads(threads: int) -> None:
    """The number of threads of what does not read it from the environment."""
    # torch, numpy and numba take theirs from the environment that the executor sets; OpenCV does not.
    import cv2

    cv2.setNumThreads(threads)


if __name__ == "__main__":
    main()
