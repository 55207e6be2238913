"""What stages read of each other's results is what was written: who checks it, and when.

Every input is looked at when its consumer starts (sizes and times), and read whole once per run, by the worker that
consumes it first. What this run's own workers wrote was hashed when they ended and is not read again. The worker looks
once more when its stage has ended: a file that changed under it spoils what it made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench.core.integrity import Listing, fault, listing
from lipbench.core.record import Record
from lipbench.core.store import Store

#: How often a stage of a run may lose what it reads before it fails.
REMADE = 2


class Custody:
    """What a run knows of the files behind its store's records."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._checked: dict[str, Listing] = {}  # key -> the state of its files when their content was right
        self._spoiled: Counter[str] = Counter()

    def made(self, record: Record) -> None:
        """A stage of this run ended well: its worker has just hashed its files."""
        self._checked[record.key] = self._listing(record)

    def inputs(self, records: Iterable[Record]) -> tuple[list[str], list[dict[str, Any]]]:
        """What a stage is about to read.

        Args:
            records: of the stages that it reads from.

        Returns:
            The keys of those that are damaged, and `StageRequest.inputs` of the others.
        """
        damaged, told = [], []
        for record in records:
            if self.store.fault(record, needed=True) is not None:
                damaged.append(record.key)
                continue
            told.append(
                {
                    "key": record.key,
                    "directory": str(self.store.directory(record.key)),
                    "outputs": {name: dict(output) for name, output in record.outputs.items()},
                    "rest": record.rest,
                    "check": self._checked.get(record.key) != self._listing(record),
                }
            )
        return damaged, told

    def read(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """A worker has read these inputs and found them right, before and after its stage."""
        for about in inputs:
            if about["check"]:
                self._checked[about["key"]] = listing(Path(about["directory"]) / "out")

    def lose(self, keys: Iterable[str], reader: str) -> bool:
        """Set damaged results aside; their stages are to run again.

        Args:
            reader: key of the stage that was to read them.

        Returns:
            False when that reader lost its inputs too often: something keeps damaging them.
        """
        self._spoiled[reader] += 1
        if self._spoiled[reader] > REMADE:
            return False
        for key in keys:
            self._checked.pop(key, None)
            self.store.set_aside(key, content=True, needed=True)
        return True

    def _listing(self, record: Record) -> Listing:
        return listing(self.store.directory(record.key) / "out")


def damaged(inputs: Iterable[Mapping[str, Any]], *, all_content: bool = False) -> dict[str, str]:
    """Key -> what is wrong with it, of those of a stage's inputs that are not what was written.

    Args:
        inputs: `StageRequest.inputs`. Those with `check` are read whole, the others looked at.
        all_content: read all of them.
    """
    found = {}
    for about in inputs:
        folder, content = Path(about["directory"]), all_content or bool(about["check"])
        wrong = fault(folder, about["outputs"], about["rest"], content=content)
        if wrong is not None:
            found[str(about["key"])] = f"{folder}: {wrong}"
    return found


def state(inputs: Iterable[Mapping[str, Any]]) -> list[Listing]:
    """Sizes and times of all inputs, to see whether they change."""
    return [listing(Path(about["directory"]) / "out") for about in inputs]
