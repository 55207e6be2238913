"""What a training step asks of a GPU, counted without one: kernel launches and floating point operations.

    python tools/count_step.py            # from the root of a checkout

The step runs on the tests' device that is none (`tests/fake_device.py`), so it takes the path that a card takes. A
launch is an operation of torch that is neither a view nor an allocation. The operations of the `mlp` are counted at 64
and 128 rays and are linear in them, on a ball; how many samples get a color and a gradient depends on what is seen, so
the plain network is counted too, which gives them to all. Those of the relief are counted at all its rays, on a ball of
256 px. The device is no CUDA card, on which Adam would be one launch for all parameters: its own are shown apart. Of a
step that is replayed as a graph (`graph: true`) what stays outside is counted, and what the graph holds, Adam fused.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch.utils.flop_counter import FlopCounterMode

from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.training import ReliefTraining
from lipbench.nerf.scene import Scene
from lipbench.nerf.training import graph
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trainer import FieldTraining
from tests import fake_device, fake_graph
from tests.nerf.relief.conftest import K, ball_scene

#: Operations that launch nothing.
FREE = {"view", "transpose", "t", "slice", "select", "unsqueeze", "squeeze", "expand", "detach", "alias", "split"}
FREE |= {"empty", "empty_like", "empty_strided", "new_empty", "permute", "as_strided", "unbind", "diagonal", "chunk"}
FREE |= {"lift_fresh", "is_same_size", "unsafe_view", "local_scalar_dense", "resize"}
WARM = 2  # steps before the counted one


def launches(name: str) -> bool:
    """Whether an operation like "aten::add_.Tensor" launches a kernel."""
    return name.split("::")[1].split(".")[0].strip("_") not in FREE


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often which operation ran on the device within."""
    found: Counter[str] = Counter()
    run = fake_device.on_card

    def on_card(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        found[func.name()] += launches(func.name())
        return run(func, args, kwargs)

    with mock.patch.object(fake_device, "on_card", on_card):
        yield found


class Count(NamedTuple):
    """A step.

    Attributes:
        launches: by operation.
        adam: how many of them are the optimizer's of networks and codes.
        flops: floating point operations of its matrix products.
    """

    launches: Counter[str]
    adam: int
    flops: int


def step(training: Any) -> Count:
    """One step, counted."""
    for number in range(WARM):
        training.step(number, number / training.preset.steps)
    moved, optimizer = [0], training.optimizer.step
    with counted() as found, FlopCounterMode(display=False) as flops:

        def counted_apart(*given: Any) -> None:
            before = found.total()
            optimizer(*given)
            moved[0] += found.total() - before

        training.optimizer.step = counted_apart
        training.step(WARM, WARM / training.preset.steps)
    return Count(found, moved[0], flops.get_total_flops())


def paper(rays: int, fused: bool = True, seed: int = 0) -> Count:
    """`preset: paper` with as many rays."""
    with fake_device.card() as device:
        return step(FieldTraining(_scene(), preset("paper", "mlp", {"rays": rays, "fused": fused}), seed, device))


def _scene() -> Scene:
    """The ball, told by as many numbers as the paper's expressions have."""
    scene = ball_scene(64).scene
    wide = torch.nn.functional.pad(torch.from_numpy(scene.condition), (0, 79 - K)).numpy()
    return scene.with_condition(wide)


def graphed(rays: int, seed: int = 0) -> tuple[int, int]:
    """Launches of a step of `preset: paper` beside its graph, and in it."""
    with fake_graph.card() as device:
        training: Any = FieldTraining(_scene(), preset("paper", "mlp", {"rays": rays, "graph": True}), seed, device)
        for number in range(graph.WARM + 1):
            training.step(number, number / training.preset.steps)
        with counted() as beside:
            training.step(number + 1, 0.5)
    return beside.total(), sum(launches(func.name()) for func, *_ in training.graphed.graph.tape)


def relief(seed: int = 0) -> Count:
    """`preset: demo` of the relief, all its rays."""
    changes = {"condition": K, "directions": K}
    with fake_device.card() as device:
        return step(ReliefTraining(ball_scene(256), relief_preset("demo", changes), seed, device))


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--top", type=int, default=8, help="operations that are listed")
    top = parser.parse_args().top
    torch.set_num_threads(1)
    rays = preset("paper").rays
    for name, fused in (("paper", True), ("paper, plain network", False)):
        few, twice = paper(64, fused), paper(128, fused)
        assert few.launches.total() == twice.launches.total(), "launches must not depend on the rays"
        flops = few.flops + (twice.flops - few.flops) * (rays - 64) // 64
        _show(f"{name}, mlp, {rays} rays", few._replace(flops=flops), top)
    beside, within = graphed(64)
    print(f"paper as a CUDA graph: {beside} launches beside it, {within} in it")
    _show(f"demo, relief, {relief_preset('demo').rays} rays", relief(), top)


def _show(name: str, found: Count, top: int) -> None:
    total = found.launches.total()
    print(f"{name}: {total} launches, {found.adam} of them Adam's; {found.flops / 1e9:.1f} GFLOP a step")
    for operation, times in found.launches.most_common(top):
        print(f"  {times:5d}  {operation}")


if __name__ == "__main__":
    main()
