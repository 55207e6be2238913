"""What is told by a file and asked again: in a run, every metric family of every method asks it of the same files."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def state(path: str | Path) -> Hashable:
    """Another value when the file is another one; None for what is no file."""
    path = Path(path)
    if not path.is_file():
        return None
    about = path.stat()
    return path.resolve(), about.st_ino, about.st_mtime_ns, about.st_size


def once_per_file(files: int) -> Callable[[Callable[Concatenate[Path, P], T]], Callable[Concatenate[str | Path, P], T]]:
    """A decorator: what a function says of a path is kept while the file there stays the same; errors are not.

    Callers share the result: they read it.

    Args:
        files: how many of them, the last ones that were asked of.
    """

    def decorate(function: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[str | Path, P], T]:
        @lru_cache(files)
        def kept(path: Path, now: Hashable, *args: P.args, **kwargs: P.kwargs) -> T:
            return function(path, *args, **kwargs)

        @wraps(function)
        def told(path: str | Path, *args: P.args, **kwargs: P.kwargs) -> T:
            path, now = Path(path), state(path)
            if now is None:
                return function(path, *args, **kwargs)
            return kept(path, now, *args, **kwargs)  # type: ignore[arg-type] # what is kept is hashable

        return told

    return decorate
