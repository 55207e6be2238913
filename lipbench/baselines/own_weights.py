"""The parameters `weights` and `weights_file`: networks from the registry, or a file of the user's own."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lipbench.core import keys, weights
from lipbench.core.method import Params


class WeightsParams(Params):
    """Parameters of a method whose networks have a name in the weights registry or lie in a file of the user's own."""

    weights: str = Field(description="Name in the weights registry.")
    weights_file: str | None = Field(
        default=None, description="A file of your own instead.", json_schema_extra={"path": True}
    )

    def registered(self, *names: str) -> tuple[str, ...]:
        """What is taken from the registry: nothing beside a file of one's own.

        Args:
            names: in the registry; none: what `weights` says.
        """
        return () if self.weights_file is not None else names or (self.weights,)

    def weights_path(self) -> Path:
        """The file to load: one's own, else that of the registry.

        Raises:
            WeightsMissing: it is not there.
            WeightsMismatch: the registry's file is not the pinned one.
            UnknownName: the registry knows no such name.
        """
        if self.weights_file is not None:
            return weights.existing(self.weights_file, "weights_file")
        return weights.path(self.weights)

    def file_identity(self) -> dict[str, str]:
        """The hash of a file of one's own, for keys.

        Raises:
            WeightsMissing: it is not there.
        """
        if self.weights_file is None:
            return {}
        return {"weights_file": keys.sha256_file(weights.existing(self.weights_file, "weights_file"))}
