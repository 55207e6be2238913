"""The table of the first dub that every method of a run has been measured on, while the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Cell, Node


class FirstLook:
    """Says one table, once: of the first clip and dub whose cells have all ended, if there are more of them.

    Args:
        root: the run directory, which is not read.
        about: what run.json says.
        cells: of the run.
        lines: of the cells that have ended; grows while the run goes on.
        say: takes the text.
    """

    def __init__(
        self,
        root: Path,
        about: Mapping[str, Any],
        cells: Sequence[Cell],
        lines: dict[Cell, dict[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        self._root, self._about, self._lines, self._say = root, about, lines, say
        self._dubs: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            self._dubs.setdefault((cell.clip, cell.dub), []).append(cell)
        self._told, self._known = len(self._dubs) < 2, 0

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        """Hears what a runner tells its listener, after the lines have been made."""
        if self._told or event != "end" or state is None or state.how != "run" or len(self._lines) == self._known:
            return
        new = max(len(self._lines) - self._known, 0)
        self._known = len(self._lines)
        # Only a dub with a new line can have become whole: a run may have very many others.
        for cell in reversed([*islice(reversed(self._lines), new)]):
            cells = self._dubs[cell.clip, cell.dub]
            if all(each in self._lines for each in cells):
                self._told = True
                self._say(f"A first look: {cells[0].clip} in {cells[0].language} alone.\n\n{self._table(cells)}")
                return

    def _table(self, cells: Sequence[Cell]) -> str:
        from lipbench.reports.frame import make_run
        from lipbench.reports.tables import table_text

        return table_text(make_run(self._root, dict(self._about), [dict(self._lines[cell]) for cell in cells]))
