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
