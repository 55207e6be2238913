"""From a folder and a recipe to a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from lipbench import media
from lipbench.core.errors import LipbenchError, UnknownName, UsageError
from lipbench.datasets.recipes import celebvhq, hdtf, speech_sets
from lipbench.datasets.recipes.recipe import FoundClip, Recipe
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.datasets.write import save_manifest

RECIPES = {
    recipe.name: recipe
    for recipe in (
        hdtf.RECIPE,
        celebvhq.RECIPE,
        speech_sets.VOXCELEB2,
        speech_sets.LRS3,
        speech_sets.GRID,
        speech_sets.MEAD,
    )
}


@dataclass(frozen=True)
class Written:
    """What became of a folder.

    Attributes:
        manifest: that was written.
        present: clips of the set that are there.
        expected: that its lists name, None where there are none.
        unread: file and why, of those that are left out.
        sizes: clips of another size than the set states: id -> found and stated.
        remarks: for the user.
    """

    manifest: Manifest
    present: int
    expected: int | None
    unread: tuple[str, ...]
    sizes: tuple[str, ...]
    remarks: tuple[str, ...]


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in RECIPES:
        raise UnknownName(
            f"there is no recipe called {name!r}", f"known: {', '.join(RECIPES)}", "`lipbench data recipe` shows them"
        )
    return RECIPES[name]


def write_manifest(
    name: str,
    folder: Path,
    out: Path,
    *,
    consent: str,
    licence: Licence | None = None,
    language: str | None = None,
    speakers: Collection[str] = (),
    limit: int | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write the manifest of a public data set that lies in a folder; every file is opened and hashed.

    Args:
        name: of the recipe.
        folder: of the user's copy.
        out: the manifest; it must not be there yet.
        consent: on what grounds these faces may be altered. No set says it, so a person has to.
        licence: instead of the recipe's; required where that was not verified.
        language: instead of the recipe's.
        speakers: only these; all when empty.
        limit: only so many clips, evenly from all that there are.
        tell: hears how many of how many files are hashed.

    Raises:
        UnknownName: there is no such recipe.
        UsageError: the folder is not of this layout, nothing is left of it, or licence or consent are missing.
    """
    chosen = recipe(name)
    said = licence or chosen.licence
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "", "give the folder in which your copy lies")
    if said is None:
        raise UsageError(f"under which licence is your copy of {name}?", chosen.licence_note, "e.g. research-only")
    if not consent.strip():
        raise UsageError(
            "on what grounds may these faces be altered?",
            f"{name} does not say",
            'say it with --consent, e.g. --consent "research at this institute, ethics vote 12/34"',
        )
    if out.exists():
        raise UsageError(f"{out} is there already", "a recipe writes a new manifest", "name another with -o")
    root = folder.resolve()
    found = chosen.look(root)
    wanted = [clip for clip in found.clips if not speakers or clip.speaker in speakers]
    if not wanted:
        raise UsageError(f"no clip of {name} is left", "none is by the speakers that are named", "check --speaker")
    if limit is not None and limit < len(wanted):
        wanted = [wanted[k * len(wanted) // limit] for k in range(limit)]
    if twice := [name for name, n in Counter(clip.id for clip in wanted).items() if n > 1]:
        raise UsageError(f"{len(twice)} clips are there twice, such as {twice[0]}", "", "give one copy of the set")
    clips: list[Clip] = []
    dubs: list[Dub] = []
    splits: dict[str, tuple[str, ...]] = {}
    unread: list[str] = []
    sizes: list[str] = []
    for k, one in enumerate(wanted):
        try:
            info = media.probe(one.video)
        except LipbenchError as error:
            unread.append(f"{one.video.relative_to(root)}: {error.one_line()}")
            continue
        if one.size and (info.width, info.height) not in one.size:
            stated = " or ".join(f"{w}x{h}" for w, h in one.size)
            sizes.append(f"{one.id} is {info.width}x{info.height}, not {stated}")
        clip = _clip(one, said, consent, language or chosen.language)
        clips.append(clip)
        if one.transcript is not None:
            dubs.append(Dub(f"{clip.id}@original", clip.id, clip.language, "original", None, clip.sha256,
                            transcript=one.transcript))  # fmt: skip
        if one.split:
            splits[one.split] = (*splits.get(one.split, ()), clip.id)
        tell(k + 1, len(wanted))
    if not clips:
        raise UsageError(f"no file of {folder} can be read", unread[0], "download them again")
    manifest = Manifest(name, "1", said, tuple(clips), tuple(dubs), root, splits)
    save_manifest(manifest, out)
    return Written(manifest, len(found.clips), found.expected, tuple(unread), tuple(sizes), found.remarks)


def _clip(one: FoundClip, licence: Licence, consent: str, language: str) -> Clip:
    return Clip(
        one.id,
        one.video,
        media.digest(one.video),
        one.speaker,
        one.language or language,
        licence,
        consent,
        source_url=one.source_url,
    )
