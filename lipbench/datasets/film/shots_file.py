"""`film.shots.yaml`: the shots of a film with what was measured and what is used; a person may edit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml as pyyaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lipbench.core import yaml
from lipbench.core.atomic import write_text
from lipbench.core.document import Kind, invalid
from lipbench.core.fields import mistake, validate
from lipbench.datasets.film.shots import ShotFacts, Span
from lipbench.datasets.film.shots_people import Person, Verdict

SCHEMA = 1
KIND = Kind("shots file", "schema: 1", "`lipbench data shots FILM` writes one")
#: Spans of two looks at a film that differ by less are the same shot, s.
SAME_S = 0.045
HEAD = """\
# The shots of a film. A person may edit `use` and `actor`; a shot with `by: hand` stays as it is when the film is
# looked at again. Times are seconds after the film's first frame. docs/shots.md says how each field is measured.
"""

Degrees = tuple[float, float]


def _version(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class PersonEntry(_Model):
    """Somebody who is seen."""

    id: str = Field(min_length=1, description="A, B, ... by how long they speak.")
    shots: int = Field(description="How many show this person.")
    seconds: float = Field(description="How long the person is seen.")
    speaking_s: float | None = Field(None, description="How long the person speaks; left out where it is not known.")


class ShotEntry(_Model):
    """A shot."""

    n: int = Field(ge=1, description="Its number in the film and on the contact sheet.")
    start: float = Field(ge=0, alias="from", description="Where it begins, s.")
    end: float = Field(gt=0, alias="to", description="Where it ends, s.")
    into: Literal["start", "cut", "dissolve", "fade"] = Field(description="How it begins.")
    people: tuple[str, ...] = Field((), description="Who is seen; ? is a face that nothing is known of.")
    actor: str | None = Field(None, description="The person whose clip it would be.")
    camera: Literal["static", "moves", "cannot tell"] = Field("cannot tell", description="Whether it stands still.")
    light_stops: float | None = Field(None, description="How much the light changes.")
    face_px: float | None = Field(None, description="Height of the actor's face.")
    yaw: Degrees | None = Field(None, description="Of the actor's head, degrees, least and most; > 0: image's right.")
    pitch: Degrees | None = Field(None, description="The same, > 0: up.")
    speaking: float | None = Field(None, description="Share of the shot in which the actor speaks.")
    use: Literal["yes", "no"] = Field(description="Whether it becomes a clip.")
    why: tuple[str, ...] = Field((), description="What speaks against it.")
    by: Literal["hand"] | None = Field(None, description="hand: a person decided.")

    @model_validator(mode="after")
    def _span(self) -> ShotEntry:
        if self.end <= self.start:
            raise mistake(f"ends ({self.end:g} s) before it begins ({self.start:g} s)", "mend from or to")
        return self


class ShotsFile(_Model):
    """The shots of a film."""

    schema_version: Annotated[Literal[1], BeforeValidator(_version)] = Field(alias="schema")
    film: str = Field(min_length=1, description="Name of the film's file.")
    seconds: float = Field(gt=0, description="Length of the film.")
    actor: str | None = Field(None, description="Whose shots are used.")
    people: tuple[PersonEntry, ...] = Field((), description="Who is seen.")
    shots: tuple[ShotEntry, ...] = Field((), description="In the order of the film.")

    @property
    def used(self) -> tuple[ShotEntry, ...]:
        """The shots with `use: yes`."""
        return tuple(shot for shot in self.shots if shot.use == "yes")


def read_shots(path: str | Path) -> ShotsFile:
    """Read a shots file.

    Raises:
        ManifestError: missing, not YAML, or a wrong field; the message names file, line and field.
    """
    document = yaml.read(Path(path), KIND)
    model, problems = validate(ShotsFile, document)
    if model is None:
        raise invalid(problems)
    return model


@dataclass(frozen=True)
class FilmShots:
    """A film's shots with people and verdicts: what is written.

    Attributes:
        film: the file.
        seconds: its length.
        actor: a person's id, None where there is nobody.
    """

    film: Path
    seconds: float
    actor: str | None
    people: Sequence[Person]
    shots: Sequence[ShotFacts]
    verdicts: Sequence[Verdict]

    def entries(self, before: ShotsFile | None = None) -> list[ShotEntry]:
        """One for each shot; what a person decided in `before` stays."""
        by_hand = [] if before is None else [shot for shot in before.shots if shot.by == "hand"]
        found = []
        for n, (shot, verdict) in enumerate(zip(self.shots, self.verdicts, strict=True), 1):
            entry = _entry(n, shot, verdict)
            if (own := _same(shot.span, by_hand)) is not None:
                kept = {"actor": own.actor, "use": own.use, "why": own.why, "by": "hand"}
                entry = entry.model_copy(update=kept)
            found.append(entry)
        return found


def _entry(n: int, shot: ShotFacts, verdict: Verdict) -> ShotEntry:
    face = None if verdict.actor is None else shot.faces[verdict.actor]

    def degrees(pair: Degrees | None) -> Degrees | None:
        return None if pair is None else (round(pair[0]), round(pair[1]))

    told = {
        "n": n,
        "start": round(shot.span.from_s, 3),
        "end": round(shot.span.to_s, 3),
        "into": shot.span.into,
        "people": tuple(who or "?" for who in verdict.faces),
        "actor": None if verdict.actor is None else verdict.faces[verdict.actor],
        "camera": shot.camera,
        "light_stops": None if shot.light_stops is None else round(shot.light_stops, 1),
        "face_px": None if face is None else round(face.height),
        "yaw": None if face is None else degrees(face.yaw),
        "pitch": None if face is None else degrees(face.pitch),
        "speaking": None if face is None or face.speaking is None else round(face.speaking, 2),
        "use": "no" if verdict.why else "yes",
        "why": verdict.why,
    }
    return ShotEntry.model_validate(told)


def _same(span: Span, entries: Sequence[ShotEntry]) -> ShotEntry | None:
    for entry in entries:
        if abs(entry.start - span.from_s) < SAME_S and abs(entry.end - span.to_s) < SAME_S:
            return entry
    return None


def write_shots(found: FilmShots, path: Path, before: ShotsFile | None = None) -> ShotsFile:
    """Write the file, a line a shot.

    Args:
        before: the file as it was; what a person decided there stays.

    Raises:
        DiskFull: no space left; the old file is untouched.
    """
    people = tuple(
        PersonEntry(
            id=p.id,
            shots=p.shots,
            seconds=round(p.seconds, 1),
            speaking_s=None if p.speaking_s is None else round(p.speaking_s, 1),
        )
        for p in found.people
    )
    told = {
        "schema_version": 1,
        "film": found.film.name,
        "seconds": round(found.seconds, 3),
        "actor": found.actor,
        "people": people,
        "shots": tuple(found.entries(before)),
    }
    whole = ShotsFile.model_validate(told)
    data = whole.model_dump(mode="json", by_alias=True, exclude_none=True)
    lines = [f"{name}: {_flow(data[name])}" for name in ("schema", "film", "seconds", "actor") if name in data]
    for name in ("people", "shots"):
        lines.append(f"{name}:" if data[name] else f"{name}: []")
        lines += [f"  - {_flow({k: v for k, v in entry.items() if v != []})}" for entry in data[name]]
    write_text(path, HEAD + "\n".join(lines) + "\n")
    return whole


def _flow(value: Any) -> str:
    text: str = pyyaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")
