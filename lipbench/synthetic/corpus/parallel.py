"""Clips over several processes. Results do not depend on how many."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from lipbench.core.threads import one_thread_each
from lipbench.synthetic.corpus.render import ClipRender, render_clip
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.synthetic.speech.espeak import Espeak

T = TypeVar("T")
Task = Callable[[ClipSpec, Espeak | None], T]

WARM = "lipbench.synthetic.corpus.warm"
_engine: Espeak | None = None


def render_clips(
    specs: Sequence[ClipSpec], *, workers: int = 1, languages: Sequence[str] | None = None
) -> Iterator[ClipRender]:
    """Render clips in memory, in the order of the specs: what training reads.

    Args:
        workers: processes; each sends whole clips (0.2 MB a frame at 256x256) to this one.
        languages: see `render.render_clip`.
    """
    yield from over_clips(_Render(languages), specs, workers=workers)


class _Render:
    def __init__(self, languages: Sequence[str] | None) -> None:
        self.languages = None if languages is None else tuple(languages)

    def __call__(self, spec: ClipSpec, engine: Espeak | None) -> ClipRender:
        return render_clip(spec, self.languages, engine)


def over_clips(task: Task[T], specs: Sequence[ClipSpec], *, workers: int = 1) -> Iterator[T]:
    """task(spec, espeak process or None) of every spec, in order; at most two clips per worker are under way.

    Args:
        task: picklable when there is more than one worker.
    """
    if not specs:
        return
    espeak = any(spec.voices == "espeak" for spec in specs)
    workers = min(workers, len(specs))
    if workers <= 1:
        with _espeak(espeak) as engine:
            for spec in specs:
                yield task(spec, engine)
        return
    with (
        one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=_context(), initializer=_start, initargs=(espeak,)) as pool,
    ):
        waiting = iter(specs)
        running: list[Future[T]] = []
        try:
            while True:
                while len(running) < 2 * workers and (coming := next(waiting, None)) is not None:
                    running.append(pool.submit(_call, task, coming))
                if not running:
                    return
                yield running.pop(0).result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _call(task: Task[T], spec: ClipSpec) -> T:
    return task(spec, _engine)


def _start(espeak: bool) -> None:
    global _engine
    import cv2

    cv2.setNumThreads(1)
    if espeak:
        _engine = Espeak()


def _context() -> multiprocessing.context.BaseContext:
    """Workers forked from a clean process that has everything built and compiled; plain new ones where that is not to
    be had. This process itself is never forked: it may have threads (torch). macOS's libraries do not stand a fork."""
    if sys.platform == "darwin" or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM])
    return context


@contextmanager
def _espeak(wanted: bool) -> Iterator[Espeak | None]:
    if not wanted:
        yield None
        return
    with Espeak() as engine:
        yield engine
