"""What a run is a product of: its clips, their dubs, and the cells that methods, lengths and seeds make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from lipbench.core import keys, registry
from lipbench.core.errors import UsageError
from lipbench.datasets.types import Clip, Dub, Manifest
from lipbench.engine.config import RunFile
from lipbench.engine.plan import Cell, select
from lipbench.engine.rows import MethodRow


def cells_of(config: RunFile, manifest: Manifest, rows: Sequence[MethodRow], clips: Sequence[Clip]) -> Iterator[Cell]:
    """The cells of a run in their order."""
    dubs = dubs_by_clip(config, manifest)
    for clip in clips:
        for row, dub in product(rows, dubs(clip)):
            for seconds, seed in product(config.train_seconds, config.seeds):
                yield Cell(row.label, clip.id, dub.language, dub.id, seconds, seed)


def all_cells(config: RunFile, manifest: Manifest, rows: Sequence[MethodRow]) -> list[Cell]:
    """The cells of a whole run, those of all shards."""
    return list(cells_of(config, manifest, rows, chosen_clips(config, manifest, None)))


def chosen_clips(config: RunFile, manifest: Manifest, shard: tuple[int, int] | None = None) -> list[Clip]:
    """The clips that a run file asks for, or a shard's share of them, in the manifest's order.

    Raises:
        UnknownName: no such split.
        UsageError: a pattern that no clip fits.
    """
    by_id = {clip.id: clip for clip in manifest.clips}
    names = list(by_id)
    if config.split is not None:
        if config.split not in manifest.splits:
            raise registry.unknown("splits", config.split, list(manifest.splits))
        names = [n for n in names if n in manifest.splits[config.split]]
    names = select(names, config.clips, "clip")
    if shard is not None:
        i, n = shard
        names = [name for name in names if int(keys.key_of({"clip": name})[:8], 16) % n == i - 1]
    return [by_id[name] for name in names]


def dubs_by_clip(config: RunFile, manifest: Manifest) -> Callable[[Clip], list[Dub]]:
    """What tells a clip's dubs that are asked for; the manifest is read once and not for every clip.

    Raises:
        UsageError: a language that the manifest does not have.
    """
    known = sorted({d.language for d in manifest.dubs})
    for language in config.languages:
        if language not in known:
            raise UsageError(f"no dub in {language!r}", f"the manifest has: {', '.join(known)}", "check --lang")
    dubs: dict[str, list[Dub]] = {}
    originals: dict[str, Dub] = {}
    for dub in manifest.dubs:
        if dub.kind == "original":
            originals.setdefault(dub.clip_id, dub)
        elif not config.languages or dub.language in config.languages:
            dubs.setdefault(dub.clip_id, []).append(dub)

    def of(clip: Clip) -> list[Dub]:
        own = dubs.get(clip.id, [])
        return [*own, originals.get(clip.id) or original_dub(clip)] if config.original else own

    return of


def original_dub(clip: Clip) -> Dub:
    """The clip's own audio as a dub: the reconstruction test."""
    return Dub(f"{clip.id}/original", clip.id, clip.language, "original", None, clip.sha256)
