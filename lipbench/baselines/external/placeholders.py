"""Placeholders in commands and generated files: a fixed list, checked when the file is read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lipbench.core.fields import mistake

#: name -> what it stands for.
NAMES = {
    "video": "the clip's frames under the dub (or the first frame, for inputs.kind image)",
    "audio": "the dub, mono PCM16 wav",
    "out": "where the command should put its video",
    "work": "the private scratch folder",
    "repo": "the checkout (its private shadow where cwd is private)",
    "weights": "the first file listed under weights",
    "gpu": "number of the GPU among those that the command sees: 0, empty on the CPU",
    "cuda_visible_devices": "the GPU's own name, for programs that set CUDA_VISIBLE_DEVICES themselves",
    "python": "the environment's interpreter",
    "seed": "the run's seed",
    "fps": "frames per second of {video}",
    "name": "the method's name",
    "train_frames": "frames to train on, in `fit` those of {video}",
}

# {{video}} stays as {video}; other braces (JSON, shell) mean nothing.
_PATTERN = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")


def check(value: Any) -> None:
    """Look through nested lists, mappings and models for placeholders that do not exist.

    Raises:
        ValueError: naming the placeholder and the nearest known one.
    """
    for text in _texts(value):
        for found in _PATTERN.finditer(text):
            name = found[2]
            if name is not None and name not in NAMES:
                near = difflib.get_close_matches(name, NAMES, n=1)
                hint = f"did you mean {{{near[0]}}}?" if near else "known: " + " ".join(f"{{{n}}}" for n in NAMES)
                raise mistake(f"there is no placeholder {{{name}}}", hint)


def uses(value: Any, name: str) -> bool:
    """Whether a placeholder occurs anywhere in a nested value."""
    return any(found[2] == name for text in _texts(value) for found in _PATTERN.finditer(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced."""
    return _PATTERN.sub(lambda m: f"{{{m[1]}}}" if m[1] else values[m[2]], text)


def fill_all(texts: Sequence[str], values: Mapping[str, str]) -> list[str]:
    return [fill(text, values) for text in texts]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return []
