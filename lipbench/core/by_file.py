"""What was made of a file a moment ago, as long as the file stays as it was."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
Made = TypeVar("Made")


def identity(path: str | Path) -> Hashable | None:
    """Which file this is and of which content, without reading it, wherever it was moved; None for what is no file."""
    path = Path(path)
    if not path.is_file():
        return None
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size


def remembered(
    kept: int, largest: int | None = None
) -> Callable[[Callable[Concatenate[Path, P], Made]], Callable[Concatenate[str | Path, P], Made]]:
    """Makes a function of what is in a file, and of hashable arguments, remember its last answers.

    Whoever asks again gets the same object: it must be left as it is. Exceptions are not remembered.

    Args:
        kept: answers.
        largest: bytes; what is made of a larger file is not kept.
    """

    def wrap(make: Callable[Concatenate[Path, P], Made]) -> Callable[Concatenate[str | Path, P], Made]:
        made: OrderedDict[Hashable, Made] = OrderedDict()

        @functools.wraps(make)
        def wrapped(path: str | Path, /, *args: P.args, **kwargs: P.kwargs) -> Made:
            path = Path(path)
            file = identity(path)
            if file is None or (largest is not None and path.stat().st_size > largest):
                return make(path, *args, **kwargs)
            key = file, args, tuple(sorted(kwargs.items()))
            if key not in made:
                made[key] = make(path, *args, **kwargs)
                if len(made) > kept:
                    made.popitem(last=False)
            made.move_to_end(key)
            return made[key]

        return wrapped

    return wrap


#: For networks of a few megabytes, as the demo's are: a run needs the same one for every dub.
small_net = remembered(kept=2, largest=16 << 20)
