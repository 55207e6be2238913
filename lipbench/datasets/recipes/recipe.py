"""What a recipe of a public data set is: where its clips lie, what is known of each, and how far that was verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipbench.datasets.types import Licence


@dataclass(frozen=True)
class FoundClip:
    """A clip of a data set in the user's folder.

    Attributes:
        id: of the clip in the manifest.
        video: the file.
        speaker: who speaks, as far as the set tells people apart.
        language: BCP-47; "" = the recipe's.
        source_url: where it comes from, "" when unknown.
        transcript: what is said, None when the set does not say.
        size: width and height that the set states, None when it states none.
        split: of the set, "" when it has none.
    """

    id: str
    video: Path
    speaker: str
    language: str = ""
    source_url: str = ""
    transcript: str | None = None
    size: tuple[tuple[int, int], ...] = ()
    split: str = ""


@dataclass(frozen=True)
class Folder:
    """What a recipe sees in a folder.

    Attributes:
        clips: those that are there.
        expected: how many the set's own lists name; None where there is no list to count by.
        remarks: what a user should know.
    """

    clips: tuple[FoundClip, ...]
    expected: int | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A public data set.

    Attributes:
        name: as it is called.
        layout: its folder, in a line.
        look: reads the folder. Raises UsageError where it is not of this layout.
        language: of the speech; "und" where the set does not say.
        licence: of the footage; None where it was not verified: then the user has to say.
        licence_note: where the licence was read, or that it was not.
        verified: from which files or pages the layout is known.
        traps: what users of the set run into.
    """

    name: str
    layout: str
    look: Callable[[Path], Folder]
    language: str
    licence: Licence | None
    licence_note: str
    verified: str
    traps: tuple[str, ...] = ()


def videos(folder: Path, pattern: str) -> Iterator[Path]:
    """Files below a folder that fit a pattern, sorted; names that begin with a dot are left out."""
    for path in sorted(folder.glob(pattern)):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
