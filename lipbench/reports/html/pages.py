"""Plain pages of sections (text, table, facts, drawings) in the report's style: indexes and the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.core.atomic import write_text

#: (text, address or "")
Link = tuple[str, str]


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        lines: paragraphs.
        table: as `facts.compact_view` makes it, or None.
        legend: as `facts.legend` makes it.
        facts: (name, text, address or "") rows.
        drawings: (title, svg).
        folded: whether it is closed at first.
    """

    title: str
    lines: Sequence[str] = ()
    table: Mapping[str, Any] | None = None
    legend: Sequence[Mapping[str, str]] = ()
    facts: Sequence[tuple[str, str, str]] = ()
    drawings: Sequence[tuple[str, str]] = ()
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """A page: its title, where it leads back to, and its sections."""

    title: str
    sections: Sequence[Section]
    up: Sequence[Link] = ()
    hint: str = ""
    lines: Sequence[str] = field(default_factory=tuple)


def write_page(path: Path, page: Page) -> None:
    """Write one html file that needs nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("lipbench.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    write_text(path, env.get_template("sections.html.j2").render(page=page, version=__version__, made=made))
