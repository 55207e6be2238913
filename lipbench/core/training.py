"""Training a network in a folder: steps, validation, checkpoints, exact resume, early stop.

A folder holds run.json (what was trained, on which data, how), log.jsonl (one line per report), checkpoint.pt (to go
on from), best.pt (the best held-out value) and samples/*.png. Batches must depend on the step number alone; then a run
that was killed and resumed ends with the weights of one that was not.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipbench.core import keys
from lipbench.core.atomic import atomic_write, write_text
from lipbench.core.errors import UsageError, disk_full
from lipbench.core.provenance import provenance
from lipbench.core.seeding import seed_torch

RUN, LOG, CHECKPOINT, BEST, SAMPLES = "run.json", "log.jsonl", "checkpoint.pt", "best.pt", "samples"


class Trainable(Protocol):
    """What `train` drives.

    Attributes:
        facts: JSON values that tell everything needed to repeat the training: configuration, digest of the data.
        monitor: key of `validate`'s answer that early stopping watches; lower is better.
    """

    facts: Mapping[str, Any]
    monitor: str

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step; `number` from 0 decides what is drawn, `progress` 0..1 of the budget decides the learning rate."""

    def validate(self) -> dict[str, float]:
        """Figures on held-out data; draws the same every time."""

    def image(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) RGB samples to look at, or None."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values: networks, optimizers, schedules."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write the finished weights into the folder."""


@dataclass(frozen=True)
class Request:
    """What the command line asks a trainer for; `data` is None for generated data."""

    out: Path
    data: str | None = None
    config: str = "demo"
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    log: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Budget:
    """How long, and how often what happens.

    Attributes:
        steps: whichever comes first ends the training; at least one is set. Only `steps` resumes exactly, because the
            learning rate follows the clock under `seconds`.
        seconds: see `steps`.
        validate_every: steps between validations, each of which leaves a checkpoint.
        report_every: steps between lines.
        image_every: steps between sample images; 0 for none.
        patience: validations without a better held-out value before the training stops; 0 for no early stop.
        checkpoint_s: wall time after which a checkpoint is left anyhow: what a crash can cost in a training of days.
    """

    steps: int | None = None
    seconds: float | None = None
    validate_every: int = 100
    report_every: int = 20
    image_every: int = 500
    patience: int = 0
    checkpoint_s: float = 600.0


@dataclass
class TrainState:
    """Where a training stands; saved with every checkpoint."""

    step: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    best_step: int = 0
    validations_without_improvement: int = 0
    stopped: str = ""


def train(
    training: Trainable,
    folder: str | Path,
    budget: Budget,
    *,
    seed: int = 0,
    fresh: bool = False,
    log: Callable[[str], None] = lambda _: None,
) -> TrainState:
    """Train until the budget is used, the held-out value stops falling, or a signal asks to stop.

    The same call on a folder that holds an unfinished run of the same training goes on with it.

    Args:
        seed: of everything drawn.
        fresh: begin again although the folder holds a run.
        log: takes progress lines.

    Raises:
        UsageError: no budget, or the folder holds another training.
        DiskFull: there is no room for the result.
    """
    if budget.steps is None and budget.seconds is None:
        raise UsageError("the training has no end", "neither steps nor seconds are given", "use --steps or --seconds")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = _open(folder, training, seed, fresh)
    _describe(folder, training, budget, seed)
    started = time.monotonic() - state.elapsed_s
    state.stopped = ""
    kept = time.monotonic()
    with _asked_to_stop() as asked:
        while not state.stopped:
            state.elapsed_s = time.monotonic() - started
            progress = _progress(state, budget)
            if progress >= 1.0:
                state.stopped = "budget"
            elif asked:
                state.stopped = "signal"
            if state.stopped:
                break
            seed_torch(int(np.random.SeedSequence([seed, state.step]).generate_state(1)[0]))
            losses = training.step(state.step, progress)
            state.step += 1
            if state.step % budget.report_every == 0:
                _report(folder, state, losses, log)
            if budget.image_every and state.step % budget.image_every == 0:
                _image(folder, training, state.step)
            if state.step % budget.validate_every == 0:
                _validate(folder, training, state, budget, log)
            elif time.monotonic() - kept < budget.checkpoint_s:
                continue
            _checkpoint(folder / CHECKPOINT, training, state)
            kept = time.monotonic()
    _checkpoint(folder / CHECKPOINT, training, state)
    if state.stopped != "signal":
        held_out = training.validate()
        _report(folder, state, held_out, log)
        facts = {
            "seed": seed,
            "steps": state.step,
            "seconds": round(state.elapsed_s),
            "held_out": held_out,
            **training.facts,
        }
        log(f"wrote {training.export(folder, facts)}")
    return state


def _progress(state: TrainState, budget: Budget) -> float:
    shares = [state.step / budget.steps] if budget.steps else []
    if budget.seconds is not None:
        shares.append(state.elapsed_s / max(budget.seconds, 1e-9))
    return max(shares, default=1.0)


def _open(folder: Path, training: Trainable, seed: int, fresh: bool) -> TrainState:

    ours = json.loads(json.dumps({"seed": seed, "training": dict(training.facts)}))
    note, saved = folder / RUN, folder / CHECKPOINT
    if fresh or not saved.exists():
        for old in (saved, folder / LOG, folder / BEST):
            old.unlink(missing_ok=True)
        return TrainState()
    theirs = {k: json.loads(note.read_text())[k] for k in ours}
    found = keys.first_difference(ours, theirs)
    if found is not None:
        raise UsageError(
            f"{folder} holds another training",
            f"{found[0]} is {found[2]!r} there and {found[1]!r} here",
            "use another folder, the same options to go on, or --fresh to begin again",
        )
    from lipbench.core.weights import torch_file  # with torch: too slow for module level

    held = torch_file.read(saved, "begin again with --fresh")
    training.load_state_dict(held["training"])
    stands = dict(held["progress"])
    if "worse" in stands:  # as checkpoints called it before
        stands["validations_without_improvement"] = stands.pop("worse")
    state = TrainState(**stands)
    lines = [x for x in (folder / LOG).read_text().splitlines() if x] if (folder / LOG).exists() else []
    kept = [x for x in lines if json.loads(x)["step"] <= state.step]  # what came after the checkpoint happens again
    write_text(folder / LOG, "".join(f"{x}\n" for x in kept))
    return state


def _describe(folder: Path, training: Trainable, budget: Budget, seed: int) -> None:
    facts = {
        "seed": seed,
        "training": dict(training.facts),
        "budget": asdict(budget),
        "command": sys.argv,
        "provenance": provenance(),
    }
    write_text(folder / RUN, json.dumps(facts, indent=1))  # configurations may hold infinity


def _report(folder: Path, state: TrainState, values: Mapping[str, float], log: Callable[[str], None]) -> None:
    row = {
        "step": state.step,
        "seconds": round(state.elapsed_s, 1),
        **{k: round(float(v), 5) for k, v in values.items()},
    }
    try:
        with open(folder / LOG, "a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise disk_full(error, folder / LOG) from error
    log("  ".join(f"{k} {v:g}" for k, v in row.items()))


def _validate(folder: Path, training: Trainable, state: TrainState, budget: Budget, log: Callable[[str], None]) -> None:
    values = training.validate()
    _report(folder, state, values, log)
    now = float(values[training.monitor])
    if state.best is None or now < state.best:
        state.best, state.best_step, state.validations_without_improvement = now, state.step, 0
        _checkpoint(folder / BEST, training, state)
    else:
        state.validations_without_improvement += 1
        if budget.patience and state.validations_without_improvement >= budget.patience:
            state.stopped = "early stop"


def _checkpoint(path: Path, training: Trainable, state: TrainState) -> None:
    import torch

    with atomic_write(path) as draft:
        torch.save({"training": training.state_dict(), "progress": asdict(state)}, draft)


def _image(folder: Path, training: Trainable, step: int) -> None:
    image = training.image()
    if image is None:
        return
    import cv2

    (folder / SAMPLES).mkdir(exist_ok=True)
    cv2.imwrite(str(folder / SAMPLES / f"{step:07d}.png"), np.ascontiguousarray(image[..., ::-1]))


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that fills when Ctrl-C or a termination signal comes; steps are never cut in two."""
    asked: list[int] = []
    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda n, _: asked.append(n))
    except ValueError:  # not the main thread: nobody sends signals here
        pass
    try:
        yield asked
    finally:
        for sent, handler in before.items():
            signal.signal(sent, handler)
