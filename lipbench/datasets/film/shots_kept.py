"""What was measured in a film, a line a shot, so that an interrupted look goes on and another actor costs nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipbench.core.atomic import write_text
from lipbench.core.errors import disk_full
from lipbench.datasets.film.shots import FaceFacts, ShotFacts, Span

#: Of the lines; others are measured again.
VERSION = 1


class KeptShots:
    """The file of a film's measured shots. Deleting it loses time alone.

    Args:
        path: of the file.
        about: what the measurements depend on beside the code: film, face backend, embedding. A file about something
            else is begun anew.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.about = {"version": VERSION, **about}
        self.spans: list[Span] | None = None
        self.facts: dict[int, ShotFacts] = {}
        self._read()

    def _read(self) -> None:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
            head = json.loads(lines[0])
            if head.pop("spans_of") != self.about:
                return
            self.spans = [Span(**span) for span in head["spans"]]
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
            self.spans = None
            return
        for line in lines[1:]:
            try:
                facts = _facts(json.loads(line))
                self.facts[self.spans.index(facts.span)] = facts
            except (ValueError, KeyError, TypeError):
                continue  # a line that was being written when the process ended

    def begin(self, spans: list[Span]) -> None:
        """Write down where the shots are.

        Raises:
            DiskFull: no space left.
        """
        self.spans, self.facts = spans, {}
        write_text(self.path, json.dumps({"spans_of": self.about, "spans": [asdict(span) for span in spans]}) + "\n")

    def keep(self, number: int, facts: ShotFacts) -> None:
        """Write down one shot.

        Raises:
            DiskFull: no space left; what is written stays.
        """
        self.facts[number] = facts
        data = asdict(facts)
        data["stills"] = [base64.b64encode(still).decode() for still in facts.stills]
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(data) + "\n")
        except OSError as error:
            raise disk_full(error, self.path) from error

    def missing(self) -> Iterator[tuple[int, Span]]:
        """The shots that are not measured yet."""
        for number, span in enumerate(self.spans or []):
            if number not in self.facts:
                yield number, span


def _facts(data: Any) -> ShotFacts:
    faces = tuple(
        FaceFacts(
            **{
                **face,
                "yaw": _pair(face["yaw"]),
                "pitch": _pair(face["pitch"]),
                "vector": None if face["vector"] is None else tuple(face["vector"]),
                "boxes": {int(k): tuple(box) for k, box in face["boxes"].items()},
            }
        )
        for face in data["faces"]
    )
    changed = {
        "span": Span(**data["span"]),
        "faces": faces,
        "at_once": tuple((a, b) for a, b in data["at_once"]),
        "stills": tuple(base64.b64decode(still) for still in data["stills"]),
    }
    return ShotFacts(**{**data, **changed})


def _pair(values: Any) -> Any:
    return None if values is None else tuple(values)
