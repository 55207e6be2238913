"""A recipe in use: what `score` measures by it, and what the paper's script would print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipbench.core.errors import UsageError
from lipbench.engine.rows import Measured
from lipbench.metrics import recipes
from lipbench.metrics.recipes import Recipe


@dataclass(frozen=True)
class UsedRecipe:
    """A recipe with the options that somebody gave beside it.

    Attributes:
        options: family -> values: the recipe's, and over them those that were given.
        changed: options in which the request is not as the recipe says, for people.
    """

    recipe: Recipe
    options: Mapping[str, Mapping[str, Any]]
    changed: tuple[str, ...]

    @classmethod
    def of(cls, name: str, metrics: Sequence[Any], given: Mapping[str, Mapping[str, Any]]) -> UsedRecipe:
        """
        Raises:
            UnknownName: no such recipe.
            UsageError: metrics are named as well.
        """
        recipe = recipes.load(name)
        if metrics:
            raise UsageError(
                f"the recipe {name} names its metrics itself",
                "so none can be chosen beside it",
                "leave one of them out",
            )
        options = {
            family: {**recipe.options.get(family, {}), **given.get(family, {})}
            for family in dict.fromkeys([*recipe.options, *given])
        }
        changed = tuple(
            f"{family}.{option}: {value}, not {recipe.options[family][option]}"
            for family, values in given.items()
            for option, value in values.items()
            if recipe.options.get(family, {}).get(option, value) != value
        )
        return cls(recipe, options, changed)

    def as_json(self, shown: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What an answer says: the recipe, and the numbers under the script's names."""
        prints = {one.name: {"metric": one.metric, "value": shown[one.metric]["value"]} for one in self.recipe.prints}
        return {**self.recipe.facts(), "prints": prints, "changed": list(self.changed)}


def conventions(measured: Iterable[Measured], shown: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """How each shown metric was measured: its family, and its convention under the options of that."""
    return {
        m.id: {"family": family.id, "convention": family.named(m, options).convention}
        for family, options in measured
        for m in family.metrics
        if m.id in shown
    }
