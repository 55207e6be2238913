"""film.align.yaml: where the dubs of a film are, as a person may read and mend it.

What a person writes (`by: hand`) is never overwritten: a rerun only says how far it is from what was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml as pyyaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lipbench.core import yaml
from lipbench.core.atomic import write_text
from lipbench.core.document import Kind, invalid
from lipbench.core.fields import mistake, validate
from lipbench.datasets.film.alignment import Alignment, Piece
from lipbench.datasets.film.rates import KNOWN
from lipbench.datasets.model import Language, Rate

KIND = Kind("alignment of a film", "schema: 1", "`lipbench data align FILM` writes it")

#: Sounds that are no farther apart than this are written as one time in which they are heard, s.
ONE_SPAN_S = 8.0

#: A measured offset that differs more from one written by hand is worth a warning, s.
DIFFERS_S = 0.020

Seconds = Annotated[float, Field(allow_inf_nan=False)]
Span = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _schema(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class PieceEntry(_Model):
    """A part of the film at which the dub has one offset."""

    start: Span = Field(alias="from", description="Second of the film at which the part begins.")
    end: Span = Field(alias="to", description="Second of the film at which it ends.")
    offset: Seconds = Field(description="Dub time = rate * film time + offset, s.")
    heard: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="Share in which both were heard.")
    precision_ms: Annotated[float, Field(ge=0)] | None = Field(None, description="Of the offset.")
    start_unsure: Span = Field(0.0, alias="from_unsure_s", description="`from` may be off by as much, s.")
    end_unsure: Span = Field(0.0, alias="to_unsure_s", description="`to` may be off by as much, s.")
    heard_in: str = Field("", description="Film seconds in which single sounds were heard: 12.0-80.5 95.0-130.2.")
    by: Literal["hand"] | None = Field(None, description="hand: a person wrote it; it is checked, never changed.")

    @model_validator(mode="after")
    def _order(self) -> PieceEntry:
        if self.end <= self.start:
            raise mistake(f"ends ({self.end:g} s) before it starts ({self.start:g} s)", "mend from or to")
        try:
            _spans(self.heard_in)
        except ValueError:
            raise mistake(f"heard_in: {self.heard_in!r} is no list of spans", "write 12.0-80.5 95.0-130.2") from None
        return self

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Film seconds in which single sounds were heard."""
        return _spans(self.heard_in)


def _spans(text: str) -> list[tuple[float, float]]:
    found = []
    for part in text.split():
        a, _, b = part.partition("-")
        found.append((float(a), float(b)))
    return found


class DubTrack(_Model):
    """A dub of the film."""

    file: str = Field(min_length=1, description="Relative to this file's folder.")
    track: Annotated[int, Field(ge=0)] = Field(0, description="Its sound track, from 0.")
    ends_sha256: str = Field("", description="Hash of the file's size, first and last MiB when it was aligned.")
    rate: Rate = Field(1.0, description="Seconds of dub a second of film: 24/25 for PAL speed on a film of 24.")
    pitch: Literal["moved", "kept"] | None = Field(None, description="What the change of speed did to the pitch.")
    inverted: bool = Field(False, description="The dub is of the other polarity.")
    verdict: Literal["ok", "carried", "refused"] = Field(description="Whether the dub's place is known.")
    why: str = Field("", description="In words, when it is not ok.")
    log10_chance: float | None = Field(None, description="How likely the evidence is with nothing in common.")
    pieces: tuple[PieceEntry, ...] = Field((), description="In order of time.")

    @model_validator(mode="after")
    def _sorted(self) -> DubTrack:
        for a, b in zip(self.pieces[:-1], self.pieces[1:], strict=True):
            if b.start < a.end - 1e-6:
                raise mistake(f"pieces overlap: one ends at {a.end:g} s, the next begins at {b.start:g} s", "mend them")
        if self.verdict != "refused" and not self.pieces:
            raise mistake(f"verdict {self.verdict} without pieces", "add `pieces:`, or write verdict: refused")
        return self


class FilmTrack(_Model):
    """The film and its original sound."""

    file: str = Field(min_length=1, description="Relative to this file's folder.")
    track: Annotated[int, Field(ge=0)] = Field(0, description="The original's sound track, from 0.")
    language: Language | None = Field(None, description="BCP-47 tag of what is spoken, where the file says.")
    ends_sha256: str = Field("", description="Hash of the file's size, first and last MiB when it was aligned.")
    seconds: Annotated[float, Field(gt=0)] = Field(description="Length of the original's sound.")


class AlignFile(_Model):
    """Where the dubs of a film are."""

    schema_version: Annotated[Literal[1], BeforeValidator(_schema)] = Field(1, alias="schema")
    film: FilmTrack
    dubs: dict[Language, DubTrack] = Field(default_factory=dict, description="Language -> dub.")


def read_align_file(path: Path) -> AlignFile:
    """
    Raises:
        ManifestError: missing, not YAML, or a field is wrong; the message names file, line and field.
    """
    document = yaml.read(path, KIND)
    model, problems = validate(AlignFile, document)
    if model is None:
        raise invalid(problems)
    return model


def write_align_file(path: Path, file: AlignFile) -> None:
    """
    Raises:
        DiskFull: no space left; the old file is untouched.
    """
    data = file.model_dump(by_alias=True, exclude_none=True)
    for dub in data["dubs"].values():
        dub["rate"] = _ratio(dub["rate"])
        dub["pieces"] = [_Flow({k: v for k, v in piece.items() if v not in ("", None)}) for piece in dub["pieces"]]
        for name, empty in (("why", ""), ("inverted", False), ("ends_sha256", "")):
            if dub[name] == empty:
                del dub[name]
    head = "# Where the dubs of a film are: dub time = rate * film time + offset. A piece with `by: hand` is kept.\n"
    text = pyyaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)
    write_text(path, head + text)


class _Flow(dict[str, Any]):
    """A mapping that is written in one line."""


class _Dumper(pyyaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Flow, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)
)


def _ratio(rate: float) -> str | float:
    name = next((name for name, value in KNOWN.items() if abs(value - rate) < 1e-10), None)
    return float(name) if name == "1" else name or round(rate, 10)


def piece_entry(piece: Piece) -> PieceEntry:
    """A measured piece as it is written."""
    marks: list[list[float]] = []
    for t in piece.moments:
        if marks and t - marks[-1][1] <= ONE_SPAN_S:
            marks[-1][1] = t
        else:
            marks.append([t, t])
    heard_in = " ".join(f"{a:.1f}-{b + 2:.1f}" for a, b in marks)
    return PieceEntry.model_validate(
        {
            "from": round(piece.start, 3),
            "to": round(piece.end, 3),
            "offset": round(piece.offset, 5) + 0.0,  # no -0.0
            "heard": round(min(piece.heard, 1.0), 3),
            "precision_ms": round(piece.precision_ms, 3),
            "from_unsure_s": round(piece.start_unsure + 0.001, 3),
            "to_unsure_s": round(piece.end_unsure + 0.001, 3),
            "heard_in": heard_in,
        }
    )


def merged(measured: Alignment, old: DubTrack | None) -> tuple[list[PieceEntry], list[str]]:
    """Measured pieces with those that a person wrote, and what to say where the two differ.

    Args:
        old: what the file says of the dub so far.
    """
    by_hand = [piece for piece in (old.pieces if old else ()) if piece.by == "hand"]
    said: list[str] = []
    out: list[PieceEntry] = list(by_hand)
    for piece in map(piece_entry, measured.pieces):
        parts = [(piece.start, piece.end)]
        for hand in by_hand:
            if hand.start < piece.end and hand.end > piece.start:
                off = piece.offset - hand.offset + (measured.rate - (old.rate if old else 1.0)) * hand.start
                if abs(off) > DIFFERS_S:
                    said.append(
                        f"from {max(hand.start, piece.start):.1f} s on {piece.offset:+.4f} s is measured, "
                        f"{hand.offset:+.4f} s is written by hand and kept"
                    )
            parts = [p for a, b in parts for p in ((a, min(b, hand.start)), (max(a, hand.end), b)) if p[1] - p[0] > 0.5]
        out.extend(piece.model_copy(update={"start": a, "end": b}) for a, b in parts)
    return sorted(out, key=lambda piece: piece.start), said
