"""Source archives that are opened for one file of weights."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights.entries import Member


def unpack(archive: Path, member: Member, target: Path, fix: str) -> Path:
    """Write the one file of a .tar.gz to `target`; its hash is for the caller to check.

    Args:
        fix: for the error: what to do.

    Raises:
        WeightsMismatch: no archive, a damaged one, or one without that file.
    """
    try:
        with tarfile.open(archive) as packed:
            found = packed.extractfile(member.path)
            if found is None:
                raise KeyError(f"{member.path} is no file there")
            # One byte too many makes another hash: what unpacks to more than it should is not unpacked.
            target.write_bytes(found.read(member.size + 1))
    except (tarfile.TarError, EOFError, KeyError, zlib.error) as error:
        raise WeightsMismatch(f"{archive} does not hold {member.path}", str(error), fix) from error
    return target
