"""What the models of a method file are made of: strict parts, commands, boxes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lipbench.baselines.external.placeholders import check
from lipbench.core.fields import mistake


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def placed(value: Any) -> Any:
    check(value)
    return value


#: Words for `crop`: x, y, width, height as parts of the frame.
HALVES = {
    "left half": (0.0, 0.0, 0.5, 1.0),
    "right half": (0.5, 0.0, 0.5, 1.0),
    "top half": (0.0, 0.0, 1.0, 0.5),
    "bottom half": (0.0, 0.5, 1.0, 0.5),
}


def _box(value: Any) -> Any:
    """Whole numbers are pixels; one number with a point makes all of them parts of the frame."""
    if isinstance(value, str):
        if value not in HALVES:
            raise mistake(f"there is no part {value!r}", f"one of {', '.join(HALVES)}, or [x, y, width, height]")
        return HALVES[value]
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        raise mistake("four numbers are needed", "x, y, width, height: pixels, or parts of the frame like 0.5")
    texts = [str(number) for number in value]
    try:
        if all(re.fullmatch(r"[+-]?\d+", text) for text in texts):
            box: tuple[float, ...] = tuple(int(text) for text in texts)
            bad = min(box) < 0 or min(box[2:]) < 2
        else:
            box = tuple(float(text) for text in texts)
            x, y, width, height = box
            bad = not (min(box) >= 0 and min(width, height) > 0 and max(x + width, y + height) <= 1 + 1e-9)
    except ValueError as error:
        raise mistake("four numbers are needed", "x, y, width, height: pixels, or parts of the frame") from error
    if bad:
        raise mistake(
            f"{list(value)} is no part of a frame",
            "whole numbers are pixels, [256, 0, 256, 256]; parts of the frame have a point, [0.5, 0.0, 0.5, 1.0]",
        )
    return box


_Half = Literal["left half", "right half", "top half", "bottom half"]
Box = Annotated[
    tuple[int, int, int, int] | tuple[float, float, float, float],
    BeforeValidator(_box, json_schema_input_type=tuple[float, float, float, float] | _Half),
]


def _words(value: Any) -> Any:
    if isinstance(value, str):
        raise mistake("a list of words is needed, never one shell string", "write [python, run.py, --video, ...]")
    return value


#: A command: words as the program gets them; numbers are text as they were written.
Argv = Annotated[tuple[str, ...], BeforeValidator(_words), AfterValidator(placed), Field(min_length=1)]
