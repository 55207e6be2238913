"""A field's training in a folder: how often it is validated, reported and looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lipbench.core.precision import tensor_cores
from lipbench.core.training import Budget, Trainable, TrainState
from lipbench.core.training import train as run


def run_training(
    training: Trainable,
    folder: str | Path,
    steps: int,
    *,
    seed: int,
    device: str,
    fresh: bool = False,
    seconds: float | None = None,
    previews: int = 4,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Train a field for its steps; arguments as for `train`.

    Raises:
        KeyboardInterrupt: a signal asked to stop.
    """
    budget = Budget(
        steps=steps,
        seconds=seconds,
        validate_every=max(1, steps // 6),
        report_every=max(1, steps // 30),
        image_every=max(1, steps // previews) if previews else 0,
    )
    with tensor_cores(device):
        state: TrainState = run(training, Path(folder), budget, seed=seed, fresh=fresh, log=log)
    if state.stopped == "signal":
        raise KeyboardInterrupt
