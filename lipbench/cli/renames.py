"""Options and arguments that were called otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from lipbench.core import renames
from lipbench.core.errors import UsageError

# Click's choices are generic from 8.2 on.
if TYPE_CHECKING:
    Choice = click.Choice[str]
else:
    Choice = click.Choice


def former_option(former: str, present: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A hidden option that stands for another and tells the user so.

    Args:
        former: "--judge".
        present: "--sync-model", an option of the same command.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(*args: Any, **values: Any) -> Any:
            given, target = values.pop(_parameter(former)), _parameter(present)
            if given is not None:
                if values[target] is not None:
                    raise UsageError(f"{former} and {present} are one option", "both are given", f"keep {present}")
                renames.warn("the option", former, present)
                values[target] = given
            return command(*args, **values)

        return click.option(former, hidden=True)(run)

    return decorate


class Names(Choice):
    """A choice of names that also takes former ones.

    Args:
        names: what can be chosen.
        former: former name -> present name.
    """

    def __init__(self, names: Sequence[str], former: dict[str, str]) -> None:
        super().__init__(list(names))
        self.former = former

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.former:
            renames.warn("the name", value, self.former[value])
            value = self.former[value]
        return str(super().convert(value, param, ctx))


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
