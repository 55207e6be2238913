"""Sync scores of clips too short for the published rule, in `lipbench score`: shorter tracks, and a word on it."""

from __future__ import annotations

from collections.abc import Container, Sequence

from lipbench.engine.rows import Measured
from lipbench.metrics.sync.protocol import FPS, MIN_TRACK, SyncOptions


def shortened(measured: Sequence[Measured], given: Container[str], seconds: float) -> tuple[list[Measured], str]:
    """Families with their options, and what to say of a sync score that they give.

    The published evaluation of real videos needs tracks of more than 100 frames; of a shorter clip half is enough here.

    Args:
        given: options of the family sync that somebody chose: a `min_track` among them stays.
        seconds: of the clip.
    """
    n_frames = round(seconds * FPS)
    sync = next((SyncOptions.parse(options) for family, options in measured if family.id == "sync"), None)
    if sync is None or sync.protocol != "realvideo" or n_frames > MIN_TRACK or "min_track" in given:
        return list(measured), ""
    least = n_frames // 2
    changed = [(f, {**options, "min_track": least} if f.id == "sync" else options) for f, options in measured]
    return changed, (
        f"sync: the clip has {n_frames} frames at {FPS} fps and the published evaluation wants tracks of more than "
        f"{MIN_TRACK}: here min_track is {least}, so the numbers compare with no paper's (--min-track changes it)"
    )
