"""What a stage's error says, so that it is still true when somebody reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def lasting(error: Mapping[str, Any] | None, workspace: Path, home: Path) -> dict[str, Any] | None:
    """The error with the files that it names at the place where they are kept.

    A stage runs in a private folder and is then renamed; what it says of its files names the folder that is gone.

    Args:
        error: as a worker answers it.
        workspace: the folder that the stage ran in.
        home: where the record lies, relative to the run directory.
    """
    if error is None:
        return None
    places = (str(workspace.resolve()), str(workspace))

    def moved(text: Any) -> Any:
        for place in places:
            text = text.replace(place, home.as_posix()) if isinstance(text, str) else text
        return text

    return {name: moved(text) for name, text in error.items()}
