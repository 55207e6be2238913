"""A folder that looks like a checkout and can be written to: links, real folders, and copies where links fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_LEFT_OUT = frozenset({".git", ".venv", "__pycache__"})
#: Files below a writable folder are copied up to this size; what is larger (weights) stays a link.
COPIED = 16 << 20
#: Folder below a stage's `out` with what it keeps for later stages, everything where it lay in the checkout.
KEPT = "kept"


def shadow(source: Path, target: Path, writable: Iterable[str], scripts: Iterable[str] = ()) -> None:
    """Make the shadow of a checkout.

    Python looks for modules beside the file that a script's link leads to, so the Python files of every real folder
    are copies: a generated file that replaces one of them is the one that is imported.

    Args:
        source: the checkout.
        target: the shadow, which is made.
        writable: folders (relative) that the command writes to: real ones with all their subfolders. Their files are
            copies, so that writing to one does not reach the checkout; those over `COPIED` bytes are links.
        scripts: files (relative) that are started: the folders above them are real.
    """
    folders = tuple(Path(folder) for folder in writable)
    _fill(source, target, folders, tuple(Path(script) for script in scripts), Path())
    for folder in folders:
        (target / folder).mkdir(parents=True, exist_ok=True)


def make_real(folder: Path, root: Path) -> None:
    """Make `folder` below `root`, replacing links on the way by shadows of what they lead to."""
    for parent in [*reversed(folder.relative_to(root).parents), folder.relative_to(root)]:
        place = root / parent
        if place != root and place.is_symlink():
            source = place.resolve()
            place.unlink()
            _fill(source, place, (), (), Path())
        place.mkdir(exist_ok=True)


def deepen(folder: Path, above: tuple[Path, ...] = ()) -> None:
    """Replace the links to folders below a real folder by shadows, all the way down.

    Args:
        folder: the real folder.
        above: folders that the ones above it are shadows of; a link back to one of them stays a link.
    """
    for entry in sorted(folder.iterdir()):
        source = entry.resolve()
        if not entry.is_dir() or source in above:
            continue
        if entry.is_symlink():
            entry.unlink()
            _fill(source, entry, (), (), Path())
        deepen(entry, (*above, source))


def _fill(source: Path, target: Path, writable: tuple[Path, ...], scripts: tuple[Path, ...], here: Path) -> None:
    target.mkdir()
    below = any(folder == here or folder in here.parents for folder in writable)
    for entry in sorted(source.iterdir()):
        place, goal = here / entry.name, target / entry.name
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            leads = any(folder == place or place in folder.parents for folder in writable)
            leads = leads or any(place in script.parents for script in scripts)
            if (below and not entry.is_symlink()) or leads:
                _fill(entry, goal, writable, scripts, place)
                continue
        elif entry.is_file() and (entry.suffix == ".py" or (below and entry.stat().st_size <= COPIED)):
            shutil.copy2(entry, goal)
            continue
        goal.symlink_to(entry)


def lay(folders: Iterable[Path], writable: Iterable[str], cwd: Path, root: Path) -> None:
    """Put what earlier stages kept into the shadow: links, and below writable folders copies up to `COPIED` bytes.

    Args:
        folders: the `out` of the stages, in their order.
        writable: folders (relative) that the commands write to.
        cwd: the shadow.
        root: the private folder.
    """
    owned = [Path(folder) for folder in writable]
    for folder in folders:
        kept = folder / KEPT
        for place in folders_below(kept):
            make_real(cwd / place.relative_to(kept), root)
        for file in files_below(kept):
            place = file.relative_to(kept)
            target = cwd / place
            target.unlink(missing_ok=True)
            copied = any(o == place or o in place.parents for o in owned) and file.stat().st_size <= COPIED
            if copied:
                shutil.copy2(file, target)
            else:
                target.symlink_to(file.resolve())


def folders_below(place: Path) -> Iterator[Path]:
    """A folder and those in it, itself first; none behind links."""
    if place.is_dir() and not place.is_symlink():
        yield place
        for entry in sorted(place.iterdir()):
            yield from folders_below(entry)


def files_below(place: Path) -> Iterator[Path]:
    """The files at a place, whether it is one of them or a folder; folders behind links are none."""
    if place.is_file():
        yield place
    elif place.is_dir() and not place.is_symlink():
        for entry in sorted(place.iterdir()):
            yield from files_below(entry)
