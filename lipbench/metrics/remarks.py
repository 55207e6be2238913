"""What has to be said beside numbers of a comparison: of its timing and its colors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lipbench.core.metric import Score
from lipbench.metrics import timing
from lipbench.metrics.timing import Shift

#: What a prediction is compared to, for people.
WHAT = {"reference": "the undubbed source", "truth": "the correct video"}


@dataclass(frozen=True)
class Remarks:
    """The remarks of one comparison.

    Attributes:
        texts: for the score, with numbers.
        table: the same for tables and reports, which say it once for all clips: without numbers.
        extra: facts for the record.
    """

    texts: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, colors: str | None, shift: Shift | None, name: str, aligned: bool, then: str = "") -> Remarks:
        """
        Args:
            colors: what to say of color tags.
            shift: that was found.
            name: "reference" or "truth".
            aligned: the comparison was made at the shift.
            then: what would be measured at the shift.
        """
        texts, table = [], []
        if shift is not None:
            words = shift.words(WHAT[name])
            if shift.start:
                texts.append(words)
                # which frame it is differs from clip to clip
                table.append(f"from some frame on {replace(shift, start=0).words(WHAT[name])}")
            elif aligned:
                texts.append(f"{words}; compared at that shift")
                table.append(f"{words}; compared so")
            else:
                texts.append(f"{words}{': ' if then else ''}{then}; --align compares so")
                table.append(f"{words}; compared as it is (option align)")
        if colors is not None:
            texts.append(colors)
            table.append(colors)
        return cls(tuple(texts), tuple(table), timing.facts(shift, aligned))

    def added(self, score: Score) -> Score:
        """A score with the remarks; one without a value keeps its reason alone, unless they may explain it."""
        if not self.texts or (score.value is None and not str(score.reason).startswith("length_mismatch")):
            return score
        reason = "; ".join([*([score.reason] if score.reason else []), *self.texts])
        remarks = [{"text": text, "short": short} for text, short in zip(self.texts, self.table, strict=True)]
        return replace(score, reason=reason, extra={**score.extra, **self.extra, "remarks": remarks})
