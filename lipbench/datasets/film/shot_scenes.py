"""The shots that are used, as scenes of their own or as the segments of a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lipbench.core.errors import Refused, UsageError
from lipbench.datasets.film.shots_file import ShotEntry, read_shots
from lipbench.datasets.film.times import Scene
from lipbench.datasets.segments import SHORTEST_S

#: Frames of a clip that are left out at either end of a segment: at another rate than the film's the frame beside a
#: boundary may be that of the shot before or after.
MARGIN_FRAMES = 1


def used_shots(path: str | Path, film: Path) -> tuple[ShotEntry, ...]:
    """The shots of a shots file that are used, all of one actor.

    Args:
        path: of the shots file.
        film: that is to be cut.

    Raises:
        ManifestError: it cannot be read.
        UsageError: it is of another film, or its used shots show several actors.
        Refused: it uses no shot.
    """
    file = read_shots(path)
    if file.film != film.name:
        raise UsageError(
            f"{path} holds the shots of {file.film}", f"{film.name} is to be cut", "name the shots file of this film"
        )
    if not file.used:
        raise Refused(
            f"{path} uses no shot", "every one says use: no, with its reasons", "look at the sheet, edit `use`"
        )
    actors = sorted({shot.actor or "?" for shot in file.used})
    if len(actors) > 1:
        raise UsageError(
            f"the used shots of {path} show several actors: {', '.join(actors)}",
            "a clip has one speaker",
            "set `use: no` for the others, or choose one by `lipbench data shots --actor`",
        )
    return file.used


def shot_scenes(shots: Sequence[ShotEntry], scenes: Sequence[Scene] = ()) -> list[Scene]:
    """Each shot as a scene; with `scenes` the parts of shots that lie in one of them.

    Raises:
        Refused: no used shot lies in a scene.
    """
    if not scenes:
        return [Scene(shot.start, shot.end) for shot in shots]
    return [part for scene in scenes for part in _parts(shots, scene)]


def segments_of(shots: Sequence[ShotEntry], scene: Scene, fps: float) -> tuple[tuple[float, float], ...]:
    """The used shots of a scene as segments of its clip, s from its first frame, on whole frames.

    Args:
        shots: in the order of the film.
        scene: seconds of the film.
        fps: of the clip.

    Raises:
        Refused: no used shot lies in it.
    """
    found = []
    for part in _parts(shots, scene):
        first, end = (part.start - scene.start) * fps, (part.end - scene.start) * fps
        a = math.ceil(first - 1e-6) + (MARGIN_FRAMES if part.start > scene.start else 0)
        b = math.floor(end + 1e-6) - (MARGIN_FRAMES if part.end < scene.end else 0)
        if (b - a) / fps >= SHORTEST_S:
            found.append((round(a / fps, 6), round(b / fps, 6)))
    if not found:
        raise _none(scene)
    return tuple(found)


def _parts(shots: Sequence[ShotEntry], scene: Scene) -> list[Scene]:
    spans = [(max(shot.start, scene.start), min(shot.end, scene.end)) for shot in shots]
    found = [Scene(a, b) for a, b in spans if b - a >= SHORTEST_S]
    if not found:
        raise _none(scene)
    return found


def _none(scene: Scene) -> Refused:
    return Refused(
        f"no used shot lies in the scene {scene}",
        f"none that says use: yes has {SHORTEST_S:g} s in it",
        "choose another scene, or edit the shots file",
    )
