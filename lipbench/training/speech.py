"""Generated speech to learn from: spoken once, kept in the training's folder."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core import keys
from lipbench.core.atomic import atomic_write
from lipbench.core.errors import UsageError
from lipbench.core.threads import one_thread_each
from lipbench.core.training import Request
from lipbench.synthetic.speech import espeak
from lipbench.synthetic.speech.espeak import Espeak

#: (number, seed, split, config, share of espeak-ng voices) -> features of the takes and what is to be told from them.
Speaker = Callable[[int, int, str, Any, float], tuple[Any, Any]]


@cache
def espeak_engine() -> Espeak:
    """espeak-ng, started once a process."""
    return Espeak()


def kept_speech(
    folder: Path,
    split: str,
    n: int,
    config: Any,
    request: Request,
    speak: Speaker,
    kind: str,
    target: str,
    version: int,
) -> tuple[Any, Any, str]:
    """n clips' features as float16, what is to be told from them, and a digest.

    Args:
        config: has `seconds` and `takes`. speak: a function of a module (worker processes import it).
        kind: of data, for the key. target: name of what is told, in the file. version: of `speak`.

    Raises:
        UsageError: espeak-ng voices are asked for and not installed.
    """
    share = float(request.options.get("espeak", 0.0))
    if share > 0 and not espeak.available():
        raise UsageError(
            "espeak-ng voices are asked for", "the extra `speech` is not installed", "pip install 'lipbench[speech]'"
        )
    facts = {"version": version, "split": split, "n": n, "seed": request.seed, "espeak": share}
    key = keys.key_of({"kind": kind, "seconds": config.seconds, "takes": config.takes, **facts})
    file = folder / f"{split}-{key[:12]}.npz"
    if not file.exists():
        request.say(f"speaking {n} clips of {config.seconds:g} s ({split})")
        found: list[Any] = [None] * n
        with one_thread_each(), ProcessPoolExecutor(max(1, request.workers), mp_context=get_context("spawn")) as pool:
            jobs = {pool.submit(speak, i, request.seed, split, config, share): i for i in range(n)}
            for job in as_completed(jobs):
                found[jobs[job]] = job.result()
        sounds = np.stack([s for s, _ in found]).astype(np.float16)
        arrays: dict[str, Any] = {"sound": sounds, target: np.stack([told for _, told in found])}
        with atomic_write(file) as draft:
            np.savez(draft, **arrays)
    with np.load(file) as z:
        return z["sound"], z[target], key
