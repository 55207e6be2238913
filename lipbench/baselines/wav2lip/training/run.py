"""One network's training from its first step to its last, in a folder that another call goes on from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from lipbench.core.provenance import provenance
from lipbench.core.store import write_atomic

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


class Trainable(Protocol):
    """What `run` drives."""

    def step(self, number: int) -> dict[str, float]: ...
    def validate(self) -> dict[str, float]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def run(
    training: Trainable, folder: Path, steps: int, *, every: int = 100, minutes: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> int:  # fmt: skip
    """Train up to step `steps`, or until `minutes` have passed; returns the last step.

    A folder with a checkpoint is gone on from: batches depend on the step alone, so the weights are those of a run
    that was never interrupted.

    Args:
        every: steps between held-out validations, each of which leaves a checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = 0
    if (folder / CHECKPOINT).is_file():
        state = torch.load(folder / CHECKPOINT, "cpu", weights_only=True)
        training.load_state_dict(state["training"])
        first = int(state["step"])
    else:
        write_atomic(folder / "provenance.json", json.dumps(provenance(), indent=1))
    began = time.monotonic()
    number = first
    for number in range(first + 1, steps + 1):
        losses = training.step(number)
        late = minutes is not None and time.monotonic() - began > 60 * minutes
        if number % every == 0 or number == steps or late:
            found = training.validate()
            line = {"step": number, "train": losses, "held_out": found, "s": round(time.monotonic() - began, 1)}
            with open(folder / LOG, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            _checkpoint(training, folder, number)
            shown = {name: round(value, 4) for name, value in found.items()}
            say(f"step {number}: {shown} after {line['s']} s")
        if late:
            break
    return number


def _checkpoint(training: Trainable, folder: Path, step: int) -> None:
    draft = folder / f".{CHECKPOINT}.{os.getpid()}"
    torch.save({"step": step, "training": training.state_dict()}, draft)
    os.replace(draft, folder / CHECKPOINT)
