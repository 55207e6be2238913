"""A recipe in use: what `score` measures by it, and what the paper's script would print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipbench.core import registry
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
    def of(
        cls, name: str, metrics: Sequence[Any], given: Mapping[str, Mapping[str, Any]], sync: Mapping[str, Any]
    ) -> UsedRecipe:
        """
        Args:
            name: of the recipe.
            metrics: that somebody named.
            given: family -> options that somebody gave.
            sync: options of the family sync that were given in another place.

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
        told = {**given, "sync": {**given.get("sync", {}), **sync}} if "sync" in recipe.options else given
        return cls(recipe, options, tuple(_changes(recipe, told)))

    def as_json(self, shown: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What an answer says: the recipe, and the numbers under the script's names."""
        prints = {one.name: {"metric": one.metric, "value": shown[one.metric]["value"]} for one in self.recipe.prints}
        return {**self.recipe.facts(), "prints": prints, "changed": list(self.changed)}


def _changes(recipe: Recipe, given: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What was given in place of what the recipe says; what it leaves out is as by default."""
    for family, values in given.items():
        if family not in registry.names("metrics"):
            continue  # refused where the options are read
        meant = registry.load("metrics", family).parse(recipe.options.get(family, {})).model_dump(mode="json")
        for option, value in values.items():
            if option in meant and meant[option] != value:
                yield f"{family}.{option}: {value}, not {meant[option]}"


def conventions(measured: Iterable[Measured], shown: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """How each shown metric was measured: its family, and its convention under the options of that."""
    return {
        m.id: {"family": family.id, "convention": family.named(m, options).convention}
        for family, options in measured
        for m in family.metrics
        if m.id in shown
    }
