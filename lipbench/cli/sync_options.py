"""Options of `lipbench score` that stand for options of the family sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click

#: Option of the command -> what click is told. Each is the option of the same name of the family sync.
SHORT: dict[str, dict[str, Any]] = {
    "min_track": {
        "type": click.IntRange(min=0),
        "help": "Faces count with more frames than this. [default: 100 as published, less for clips up to 4 s]",
    },
    "min_face_size": {"type": click.FloatRange(min=0), "help": "Smaller faces do not count, px. [default: 100]"},
    "boxes_from": {
        "type": click.Choice(["reference", "prediction"]),
        "help": "Whose face the sync model's crop follows; published: prediction. [default: reference]",
    },
    "detector": {"help": "With --boxes-from prediction: which detector. [default: s3fd-syncnet, as published]"},
    "aggregate": {
        "type": click.Choice(["longest", "weighted", "best", "mean"]),
        "help": "The value of several face tracks. [default: longest]",
    },
    "codec": {
        "type": click.Choice(["none", "published", "latentsync"]),
        "help": "What frames and sound go through before the sync model. [default: none]",
    },
}


def sync_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command that takes `options`, a mapping of family to values; there they arrive."""

    @wraps(command)
    def wrapped(*args: Any, options: Mapping[str, Mapping[str, Any]], **rest: Any) -> Any:
        sync = dict(options.get("sync", {}))
        for name in SHORT:
            value = rest.pop(name)
            if value is None:
                continue
            if sync.setdefault(name, value) != value:
                raise click.BadParameter(f"given twice, also as --option sync.{name}", param_hint=_flag(name))
        return command(*args, options={**options, **({"sync": sync} if sync else {})}, **rest)

    for name, told in reversed(SHORT.items()):
        wrapped = click.option(_flag(name), name, default=None, **told)(wrapped)
    return wrapped


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
