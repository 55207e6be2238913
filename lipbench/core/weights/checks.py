"""Whether a file that somebody adds is the one that its entry means, where no published hash can tell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from lipbench.core.errors import LipbenchError, WeightsError, WeightsMismatch
from lipbench.core.weights.entries import WeightsEntry

#: Sizes that differ by more than this are another file's.
SLACK = 0.05


def refuse_another(copy: Path, given: Path, what: WeightsEntry, any_size: bool = False) -> None:
    """Raise unless a file has a size and the entries of the network that its name stands for.

    Args:
        copy: the file under the name that it would have.
        given: the file that was given, for the error.
        any_size: somebody says that it goes around in another size too.

    Raises:
        WeightsMismatch: another size, or another network.
    """
    size, known = copy.stat().st_size, tuple(n for n in (what.size, *what.sizes) if n)
    if known and not any_size and not any(abs(size - n) <= SLACK * n for n in known):
        expected = " or ".join(f"{n / 1e6:,.1f} MB" for n in known)
        raise WeightsMismatch(
            f"{given} is not {what.name}",
            f"it has {size:,} bytes, expected are {expected}",
            f"{what.how}; --any-size takes a form of another size whose entries fit",
        )
    if what.loader:
        load, arguments = _loader(what.loader)
        try:
            load(copy, *arguments)
        except LipbenchError as error:
            why = error.why or error.what
            raise WeightsMismatch(f"{given} is not {what.name}", why, error.fix or what.how) from error


def refuse_no_checkpoint(file: Path, what: WeightsEntry) -> None:
    """Weights without a published hash: refuse what cannot be of their kind."""
    with open(file, "rb") as stream:
        head = stream.read(4)
    # MatConvNet networks are MATLAB files, whose first words are "MATLAB 5.0 MAT-file".
    if what.file.endswith(".mat"):
        if head != b"MATL":
            raise WeightsError(f"{file} is no MATLAB file", f"it starts with {head!r}", what.how)
    # torch.save writes a zip (PK) or, before 1.6, a pickle of protocol 2 or later; TorchScript is a zip too.
    elif not head.startswith((b"PK\x03\x04", b"\x80")):
        raise WeightsError(f"{file} is no torch checkpoint", f"it starts with {head!r}", what.how)


def _loader(text: str) -> tuple[Any, tuple[Any, ...]]:
    module_name, function, *classes = text.split(":")
    module = importlib.import_module(module_name)
    return getattr(module, function), tuple(getattr(module, name) for name in classes)
