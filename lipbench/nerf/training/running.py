"""What the trainings of all fields share: what they refuse, when they begin again, what they report and leave."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core.errors import UsageError
from lipbench.core.precision import tensor_cores
from lipbench.core.seeding import seed_torch
from lipbench.core.training import Budget, Trainable, TrainState
from lipbench.core.training import train as run
from lipbench.nerf.scene import Scene
from lipbench.nerf.training import guard

if TYPE_CHECKING:
    from typing_extensions import Unpack

MODEL = "field.pt"
#: Steps of a training that is over before anybody looks at its sample images: these would be a tenth of its price.
BRIEF = 1000
LATENT_START = 0.01  # standard deviation of the codes at the start
PROBE_FRAMES, PROBE_RAYS = 4, 256


class GuardedTraining(Trainable):
    """What every field's training does alike.

    Attributes:
        preset: how it is trained.
        seed: of the weights; the harness seeds what is drawn in each step.
        device: where to compute.
        latents: (T, L) the codes of the frames.
        attempt: how often it was begun again.
        check_steps: after which of them the opacity is looked at.
    """

    monitor = "photo"
    preset: Any
    seed: int
    device: str
    latents: Tensor
    attempt: int
    check_steps: tuple[int, ...]

    @abstractmethod
    def _build(self) -> None:
        """Networks, codes and optimizers of this attempt."""

    @abstractmethod
    def opacity(self) -> float:
        """Mean opacity over head pixels of a few frames: near 0 when the field has collapsed."""

    @abstractmethod
    def trained(self, facts: Mapping[str, Any]) -> Any:
        """The field as it stands."""

    def _seed_weights(self) -> None:
        """Other weights in each attempt."""
        seed_torch(int(np.random.SeedSequence([self.seed, 77, self.attempt]).generate_state(1)[0]))

    def _guard(self, number: int, progress: float) -> None:
        """Look at the field where it is time to.

        Raises:
            FieldCollapsed: see `_check_opacity`.
        """
        if number + 1 in self.check_steps:
            least = guard.min_opacity(number + 1, self.preset.steps)
            self._check_opacity(least, restart=progress < guard.LAST_RESTART)

    def _check_opacity(self, min_opacity: float, restart: bool) -> None:
        """Begin again with other weights when the field is transparent.

        Raises:
            FieldCollapsed: after the last restart, or when too little time is left for one.
        """
        if guard.needs_restart(self.opacity(), min_opacity, self.attempt, restart):
            self.attempt += 1
            self._build()

    def _figures(self, error: float, opacity: float, held_out: bool) -> dict[str, float]:
        """What a validation reports, from the mean squared error over the head."""
        return {
            "photo": error,
            "held_out_psnr" if held_out else "head_psnr": -10 * float(np.log10(max(error, 1e-10))),
            "opacity": opacity,
            "attempt": float(self.attempt),
            "latent_norm": float(self.latents.norm(dim=1).mean()) if self.preset.field.latent else 0.0,
        }

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write field.pt."""
        path: Path = self.trained(facts).save(folder / MODEL)
        return path


def check(preset: Any, condition: int) -> None:
    """Refuse settings that do not fit a scene.

    Args:
        preset: of any field.
        condition: length of the scene's codes.

    Raises:
        UsageError: codes of another length, or rays that frames cannot share.
    """
    if preset.field.condition != condition:
        raise UsageError(
            f"the scene's codes have {condition} numbers",
            f"the preset's field takes {preset.field.condition}",
            "set `condition` of the preset to the scene's",
        )
    if preset.rays % preset.frames:
        raise UsageError(
            f"cannot share {preset.rays} rays among {preset.frames} frames",
            "every frame gets the same number",
            "choose rays as a multiple of frames",
        )


def scene_hash(scene: Scene, *more: NDArray[Any]) -> str:
    """Digest of what a training sees: the scene, and more arrays."""
    digest = hashlib.sha256(repr((scene.focal, scene.center)).encode())
    for name in ("frames", "head", "plates", "shot", "c2w", "near_far", "condition", "mouth", "eyes", "lids", "bounds"):
        _digest_rows(digest, getattr(scene, name))
    for array in more:
        _digest_rows(digest, array)
    return digest.hexdigest()[:16]


def _digest_rows(digest: Any, array: NDArray[Any]) -> None:
    """The bytes of an array, row by row: a part of a mapped one is not copied as a whole."""
    for row in array:
        digest.update(np.ascontiguousarray(row).data)


class Running(TypedDict, total=False):
    """How a training runs.

    Attributes:
        fresh: begin again although the folder holds a run.
        seconds: stop after this wall time if the preset's steps are not done by then (not exactly resumable).
        previews: sample images over the training; left out, 4, and none where it has fewer steps than `BRIEF`.
        log: takes progress lines.
    """

    fresh: bool
    seconds: float | None
    previews: int
    log: Callable[[str], None]


def run_training(training: GuardedTraining, folder: str | Path, **how: Unpack[Running]) -> None:
    """Train a field for its preset's steps; the same call on an interrupted folder goes on exactly where it stopped.

    Args:
        folder: takes checkpoints, log.jsonl, samples/ and the finished field.pt.
        how: see `Running`.

    Raises:
        KeyboardInterrupt: a signal asked to stop.
        FieldCollapsed: the head stayed transparent after three restarts.
        UsageError: the folder holds another training.
        DiskFull: there is no room for the result.
    """
    steps = training.preset.steps
    previews = how.get("previews", 4 if steps >= BRIEF else 0)
    budget = Budget(
        steps=steps,
        seconds=how.get("seconds"),
        validate_every=max(1, steps // 6),
        report_every=max(1, steps // 30),
        image_every=max(1, steps // previews) if previews else 0,
    )
    kept: dict[str, Any] = {name: how[name] for name in ("fresh", "log") if name in how}  # type: ignore[literal-required]
    with tensor_cores(training.device):
        state: TrainState = run(training, Path(folder), budget, seed=training.seed, **kept)
    if state.stopped == "signal":
        raise KeyboardInterrupt
