"""What cannot be measured or made, and why, said before any work: each reason once, with one command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, WeightsError, WeightsMismatch
from lipbench.engine.rows import Measured
from lipbench.faces.backend_table import backend

#: Inputs of metrics that a face backend makes.
TRACKS = frozenset({"faces", "prediction_faces", "truth_faces"})


@dataclass(frozen=True)
class Obstacle:
    """Something that is known to be in the way.

    Attributes:
        what: what it keeps from being done: "measure lse_d, lse_c", "make wav2lip".
        why: one line.
        weights: names of the weights that would mend it.
        metrics: ids of the metrics that it keeps from being measured.
    """

    what: str
    why: str
    weights: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"what": self.what, "why": self.why, "weights": list(self.weights), "metrics": list(self.metrics)}


def of_metrics(measured: Sequence[Measured], asked: Iterable[str], faces: str | None) -> list[Obstacle]:
    """What keeps metrics from being measured whatever the video.

    Args:
        asked: ids of the metrics that were asked for; the others are measured along with them.
        faces: the face backend that finds faces; None where landmark files are given for all of them.
    """
    asked = frozenset(asked)
    why: dict[str, LipbenchError] = {}
    hindered: dict[str, list[str]] = {}
    for family, options in measured:
        for name, error in family.obstacles(options).items():
            why.setdefault(name, error)
            hindered.setdefault(name, []).extend(
                m.id for m in family.metrics if m.id in asked and family.hinders(name, m)
            )
    for name, error in missing(faces_weights(faces) if faces is not None else ()).items():
        why.setdefault(name, error)
        hindered.setdefault(name, []).extend(m for m in needing(measured, TRACKS) if m in asked)
    return [
        replace(obstacle(f"measure {listed(ids)}", name, why[name]), metrics=tuple(ids))
        for name, ids in hindered.items()
        if ids
    ]


def obstacle(what: str, name: str, error: LipbenchError) -> Obstacle:
    """The obstacle that something missing is."""
    if name in weights.registry():
        # How to get all that is missing is said once, below.
        told = f"{error.what}; {error.why}" if isinstance(error, WeightsMismatch) else error.what
        return Obstacle(what, f"{error.reason}: {told}", (name,))
    return Obstacle(what, f"{error.reason}: {error.one_line()}")


def needing(measured: Sequence[Measured], inputs: frozenset[str]) -> list[str]:
    """Metrics that need one of these inputs, under their family's options."""
    return [m.id for f, options in measured for m in f.metrics if m.needs & f.needs(options) & inputs]


def faces_weights(faces: str) -> tuple[str, ...]:
    """The weights of a face backend."""
    name = backend(faces).weights
    return (name,) if name else ()


def missing(names: Iterable[str]) -> dict[str, LipbenchError]:
    """Which of the named weights cannot be used, and why."""
    found: dict[str, LipbenchError] = {}
    for name in names:
        try:
            weights.path(name)
        except WeightsError as error:
            found[name] = error
    return found


def lacking(obstacles: Iterable[Obstacle]) -> list[str]:
    """Names of the weights that would mend obstacles, each once."""
    return list(dict.fromkeys(name for one in obstacles for name in one.weights))


def command(obstacles: Sequence[Obstacle], run_file: Path | str | None = None) -> str:
    """The one command that gets every missing file that a program can fetch, "" when there is none."""
    names = [name for name in lacking(obstacles) if fetchable(name)]
    if not names:
        return ""
    return f"lipbench weights get --for {run_file}" if run_file else f"lipbench weights get {' '.join(names)}"


def fetchable(name: str) -> bool:
    """Whether `lipbench weights get` can fetch them, without anybody looking up a page."""
    return weights.entry(name).how.startswith("run `lipbench weights get")


def lines(obstacles: Sequence[Obstacle], run_file: Path | str | None = None) -> list[str]:
    """Obstacles for people: one line each, then what gets the missing files."""
    told = [f"cannot {one.what}: {one.why}" for one in obstacles]
    if one_command := command(obstacles, run_file):
        told.append(f"to get what is missing: `{one_command}`")
    by_hand = [name for name in lacking(obstacles) if not fetchable(name)]
    return told + [f"{name}: {weights.entry(name).how}" for name in by_hand]


def of_length(measured: Sequence[Measured], asked: Iterable[str], lengths: Mapping[str, float]) -> list[Obstacle]:
    """Videos that are too short for a family.

    Args:
        lengths: name of a video, for people -> seconds.
    """
    asked = frozenset(asked)
    found = []
    for family, options in measured:
        ids = [m.id for m in family.metrics if m.id in asked]
        short: dict[str, list[str]] = {}
        for name, seconds in lengths.items():
            if why := family.too_short(options, seconds):
                short.setdefault(why, []).append(f"{name} ({seconds:.2f} s)")
        for why, names in short.items() if ids else ():
            found.append(Obstacle(f"measure {listed(ids)} of {listed(names)}", why, metrics=tuple(ids)))
    return found


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for people: each once, the first few, and how many more."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
