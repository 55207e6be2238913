"""What a service answers: places in its JSON, and the video that it names or holds."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from lipbench.baselines.external.output import bad_output


def at(answer: Any, place: str) -> Any:
    """The value at a dotted place ("output.0.url"), None where there is none."""
    for word in filter(None, place.split(".")):
        if isinstance(answer, dict):
            answer = answer.get(word)
        elif isinstance(answer, list) and word.isdigit() and int(word) < len(answer):
            answer = answer[int(word)]
        else:
            return None
    return answer


def put(body: dict[str, Any], place: str, value: Any) -> None:
    """Set the value at a dotted place, making the objects on the way."""
    *above, last = place.split(".")
    for word in above:
        body = body.setdefault(word, {})
    body[last] = value


def data_uri(file: Path) -> str:
    """A file as text."""
    kind = {".mp4": "video/mp4", ".wav": "audio/wav", ".png": "image/png"}[file.suffix]
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"


def from_data_uri(text: str) -> bytes:
    """The bytes of a data URI.

    Raises:
        LipbenchError: reason "bad_output".
    """
    head, _, data = text.partition(",")
    if not re.fullmatch(r"data:[^,]*;base64", head):
        raise bad_output("the service's video cannot be read", "its data URI is not in base64")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise bad_output("the service's video cannot be read", f"its data URI is damaged: {error}") from error
