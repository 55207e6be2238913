"""Names that were changed and are still understood: the old one gives the new one and a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any


class RenameWarning(FutureWarning):
    """Something was named as it was called before; shown to users, not to developers alone."""


def warn(what: str, old: str, new: str) -> None:
    """Tell the user of an old name.

    Args:
        what: "method", "weights", ...
    """
    warnings.warn(RenameWarning(f"{what} {old!r} is called {new!r} now; the old name will go"), stacklevel=3)


def former_values(what: str, names: Mapping[str, str]) -> Callable[[Any], Any]:
    """A pydantic before-validator that takes former values of a parameter for the present ones.

    Args:
        what: the parameter, for the warning.
        names: former value -> present value.
    """

    def present(value: Any) -> Any:
        if isinstance(value, str) and value in names:
            warn(what, value, names[value])
            return names[value]
        return value

    return present


#: Fields of files and of records that were changed: former name -> present name. A "judge" is a language model today.
FIELDS = {"judge": "sync_model", "judge_details": "sync_model_details", "judge_sha256": "sync_model_sha256"}


def present_fields(what: str, data: Any, names: Mapping[str, str] = FIELDS) -> Any:
    """What a person wrote, with the present names of its fields; the user is told of each former one.

    Args:
        what: "the field", "the option", ... for the warning.
        data: a mapping; anything else is returned as it is, for its reader to refuse. A field that is there under both
            names keeps both, so that the former one is refused as unknown.
        names: former name -> present name.
    """
    if not isinstance(data, Mapping):
        return data
    former = {name for name in data if name in names and names[name] not in data}
    for name in sorted(former):
        warn(what, name, names[name])
    return {names[name] if name in former else name: value for name, value in data.items()}


def present_record(data: Any) -> Any:
    """What lipbench wrote, at any depth, with the present names of its fields; no word about it."""
    if isinstance(data, list):
        return [present_record(value) for value in data]
    if not isinstance(data, dict):
        return data
    return {FIELDS.get(name, name): present_record(value) for name, value in data.items()}
