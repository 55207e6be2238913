"""What a manifest may say of a dub that was cut out of a film: where it lay and how that is known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lipbench.datasets.types import Aligned

Finite = Annotated[float, Field(allow_inf_nan=False)]


class AlignedEntry(BaseModel):
    """How a dub that was cut out of a film was aligned with it; `lipbench data add --from` writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    film_offset_s: Finite = Field(description="Dub time = rate * film time + this, s.")
    rate: Annotated[Finite, Field(gt=0)] = Field(1.0, description="Dub seconds per second of film.")
    heard: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of its piece in which sounds of the film are heard in it; by hand: not known."
    )
    precision_ms: Annotated[Finite, Field(ge=0)] | None = Field(None, description="Of the offset.")
    state: Literal["measured", "by hand", "carried", "one-sided"] = Field(description="What is known in this scene.")

    def value(self) -> Aligned:
        """As a manifest holds it."""
        return Aligned(self.film_offset_s, self.rate, self.heard, self.precision_ms, self.state)
