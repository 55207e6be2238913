"""What a planned run will not have, known before it starts: metrics, methods, finished videos that do not fit."""

from __future__ import annotations

from pathlib import Path

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.core.method import Expected
from lipbench.datasets.dub_sound import DubSound
from lipbench.datasets.types import Clip, Dub
from lipbench.engine import preflight
from lipbench.engine.api import PlannedRun
from lipbench.engine.config import MethodEntry
from lipbench.engine.plan import PlanState
from lipbench.engine.preflight import Obstacle, listed, obstacle
from lipbench.engine.rows import row as _row
from lipbench.media import opening
from lipbench.media.streams import split_stream

#: A sound file of more bytes is not decoded only to learn its length; its header is believed.
DECODED = 20 << 20


def of_run(run: PlannedRun) -> list[Obstacle]:
    """Obstacles of a planned run, each reason once. Files are looked at where their stages are not cached."""
    expected = _expected(run)
    lengths = {name: e.n_frames / e.fps for name, e in expected.items()}
    return of_weights(run) + preflight.of_length(run.measured, _asked(run), lengths) + _misfits(run, expected)


def of_weights(run: PlannedRun) -> list[Obstacle]:
    """Metrics and methods for which weights are missing; no file but those of weights is looked at."""
    # Landmark files stand for the clips' own faces, not for those of what methods make of them.
    found_in_videos = preflight.needing(run.measured, frozenset({"prediction_faces", "truth_faces"}))
    needed = None if _has_landmarks(run) and not found_in_videos else run.config.faces
    return preflight.of_metrics(run.measured, _asked(run), needed) + of_methods(run)


def _asked(run: PlannedRun) -> list[str]:
    return [m.id for f, _ in run.measured for m in f.metrics if run.config.asks(f.id, m.id)]


def _has_landmarks(run: PlannedRun) -> bool:
    used = {cell.clip for cell in run.plan.cells}
    return all(clip.landmarks is not None for clip in run.manifest.clips if clip.id in used)


def of_methods(run: PlannedRun) -> list[Obstacle]:
    """Rows that cannot run for want of weights: their own, those of what they start from, a face backend's."""
    faces = None if _has_landmarks(run) else run.config.faces
    found = []
    for row in run.rows:
        names = list(row.method.weights(row.params))
        driver = row.method.driver(row.params)
        if driver is not None:
            entry = MethodEntry(id=driver[0], file=None, label=None, params=dict(driver[1]))
            names += _row(entry, row.base).method.weights(_row(entry, row.base).params)
        if faces is not None and "faces" in row.method.needs(row.params):
            names += preflight.faces_weights(faces)
        found += [
            obstacle(f"make {row.label}", name, error)
            for name, error in preflight.missing(dict.fromkeys(names)).items()
        ]
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in found:
        merged.setdefault((one.why, one.weights), []).append(one.what.removeprefix("make "))
    return [Obstacle(f"make {listed(labels)}", why, names) for (why, names), labels in merged.items()]


def _expected(run: PlannedRun) -> dict[str, Expected]:
    """Id of a dub -> what its videos have to be like; dubs that cannot be read are left to their stages."""
    clips = {clip.id: clip for clip in run.manifest.clips}
    dubs = {dub.id: dub for dub in run.manifest.dubs}
    state = PlanState(run.plan, run.store)
    seconds: dict[Path, float] = {}
    sizes: dict[str, tuple[int, int]] = {}
    found = {}
    for cell in run.plan.cells:
        clip, dub = clips[cell.clip], dubs.get(cell.dub)
        if cell.dub in found:
            continue
        try:
            if clip.id not in sizes:
                info = media.probe(clip.video)
                sizes[clip.id] = info.width, info.height
            record = state.find(f"dub {cell.dub}")
            if record is not None and record.status == "ok":
                n_frames = int(record.info["n_frames"])
            else:
                n_frames = round(_seconds(clip, dub, seconds) * run.config.fps)
        except LipbenchError:
            continue
        size, fps = sizes[clip.id], run.config.fps
        found[cell.dub] = Expected(clip.id, cell.language, cell.dub, *size, fps, n_frames, clip.speaker)
    return found


def _seconds(clip: Clip, dub: Dub | None, known: dict[Path, float]) -> float:
    """Length of a dub laid over its clip: that of its sound; of the clip where it is the clip's own."""
    if dub is None or dub.audio is None:
        return clip.used_s(media.probe(clip.video).duration_s)
    if dub.audio not in known:
        known[dub.audio] = _sound_seconds(split_stream(dub.audio)[0])
    cut = DubSound.of(dub, clip)
    if cut.whole:
        return max(0.0, known[dub.audio] * dub.rate + dub.offset_s)
    lead, begin, until = cut.span()
    last = known[dub.audio] if until is None else min(until, known[dub.audio])
    return max(0.0, lead + (last - begin) * dub.rate)


def _sound_seconds(path: Path) -> float:
    if path.is_file() and path.stat().st_size > DECODED:
        with opening.reading(path), opening.open_input(path) as container:
            return (container.duration or 0) / 1e6  # µs
    return len(media.read_audio(path, rate=16000)) / 16000


def _misfits(run: PlannedRun, expected: dict[str, Expected]) -> list[Obstacle]:
    """Cells whose method knows already that it will refuse them: finished videos of a wrong size, length or kind."""
    state = PlanState(run.plan, run.store)
    rows = {row.label: row for row in run.rows}
    found: dict[str, list[str]] = {}
    for cell in run.plan.cells:
        node = run.plan.nodes[run.plan.synthesize[cell]]
        if node.refusal is not None or cell.dub not in expected:
            continue
        row = rows[cell.method]
        try:
            if state.find(node.id) is None:
                row.method.examine(row.params, expected[cell.dub], cell.train_seconds, cell.seed)
        except LipbenchError as error:
            found.setdefault(f"{error.reason}: {error.one_line()}", []).append(f"{cell.method} of {cell.dub}")
    return [Obstacle(f"show {listed(cells)}", why) for why, cells in found.items()]
