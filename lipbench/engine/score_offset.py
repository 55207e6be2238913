"""A source's own offset: found footage is rarely in sync, and its dubs are judged where its own audio lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import media
from lipbench.core.metric import MetricFamily
from lipbench.engine.score_node import File
from lipbench.faces.track import FaceTrack

if TYPE_CHECKING:
    from lipbench.metrics.sync.landmark import OwnOffset


def own_offset_of(
    reference: Path | None, faces: File | None, sound: Path | None, remarks: list[str]
) -> OwnOffset | None:
    """How far the reference is out of sync itself; None without a reference whose face and sound are known."""
    if reference is None or faces is None or faces.file is None or sound is None:
        return None
    from lipbench.metrics.sync.landmark import own_offset

    found = own_offset(FaceTrack.load(faces.file), media.read_audio(sound))
    if found.frames is None:
        remarks.append(f"the reference's own offset is not known: {found.why}")
    elif found.frames:
        remarks.append(f"in the reference itself {found.why}: sync_d and lse_d_at_own are taken there")
    return found


def asks_for_own(family: MetricFamily) -> bool:
    """Whether a family measures at the source's own offset, too."""
    return "own_offset" in family.options.model_fields


def at_own(family: MetricFamily, options: Mapping[str, Any], frames: int) -> dict[str, Any]:
    """The options with the source's own offset, in families that ask for it and were not told one."""
    takes = asks_for_own(family) and options.get("own_offset") is None
    return {**options, "own_offset": frames} if takes else dict(options)
