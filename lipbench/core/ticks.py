"""Steps of long work, told to whoever listens: a frame was measured, for example. Nobody listens in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Step = TypeVar("Step")
_listener: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Callable[[], None]) -> Iterator[None]:
    """Inside, `listener` is called at each step."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def ticking(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps as they come; each is told once the next one is asked for."""
    for step in steps:
        yield step
        if listener := _listener.get():
            listener()
