"""Clips that a training renders once and keeps in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from lipbench.synthetic.corpus.parallel import Task, over_clips
from lipbench.synthetic.corpus.spec import ClipSpec

T = TypeVar("T")

SAY_EVERY = 20


def render_missing(
    specs: Sequence[ClipSpec],
    is_cached: Callable[[ClipSpec], bool],
    render: Task[T],
    keep: Callable[[ClipSpec, T], object],
    *,
    doing: str = "rendering",
    about: str = "",
    workers: int = 1,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Render the clips that are not in a folder yet; an interrupted call goes on where it stopped.

    Args:
        specs: of all clips.
        is_cached: whether a clip is there.
        render: a clip; picklable when there is more than one worker.
        keep: puts a rendered clip into the folder; runs in this process.
        doing: what `render` does, for the log.
        about: which clips these are, for the log.
        workers: processes; the files do not depend on it.
        log: gets a line at the start and after every 20 clips.
    """
    waiting = [spec for spec in specs if not is_cached(spec)]
    if waiting:
        log(f"{doing} {len(waiting)} clips ({about}{'; ' * bool(about)}{len(specs) - len(waiting)} are cached)")
    rendered = over_clips(render, waiting, workers=workers)
    for done, (spec, clip) in enumerate(zip(waiting, rendered, strict=True), 1):
        keep(spec, clip)
        if done % SAY_EVERY == 0 or done == len(waiting):
            log(f"  {done} of {len(waiting)} clips")
