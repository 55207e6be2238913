"""Reading everything that a run directory keeps: is it still what was written?"""

from __future__ import annotations

from dataclasses import dataclass, field

from lipbench.core.errors import Damaged
from lipbench.core.store import Store


@dataclass
class Verification:
    """What was found: counts of what is sound, and key -> what is wrong with what is not."""

    records: int = 0
    files: int = 0
    n_bytes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """For people."""
        text = f"verified {self.records:,} results, {self.files:,} files, {self.n_bytes / 1e6:,.0f} MB: "
        text += f"{len(self.damaged)} damaged" if self.damaged else "all are what was written"
        return text + "".join(f"\n  {key[:12]}: {why}" for key, why in self.damaged.items())


def verify(store: Store) -> Verification:
    """Read every record and every file. What is damaged is set aside where the store repairs.

    Raises:
        StoreError: something should be set aside, and the directory cannot be written.
    """
    found = Verification()
    for path in sorted((store.root / "objects").glob("??/*")):
        try:
            record = store.read(path.name)
            wrong = None if record is None else store.fault(record, content=True)
        except Damaged as error:
            record, wrong = None, error.why
        if wrong is not None:
            found.damaged[path.name] = wrong
            if store.repairs:
                store.set_aside(path.name, content=True)
        elif record is not None:
            found.records += 1
            rest = record.rest or {}
            found.files += len(record.outputs) + len(rest)
            found.n_bytes += sum(int(output["bytes"]) for output in record.outputs.values())
            found.n_bytes += sum(int(about[0]) for about in rest.values())
    return found
