"""A training's step as a CUDA graph, without a card: what `fake_graph` captures and replays is what plain steps do."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from lipbench.baselines.adnerf.training import AudioFieldTraining
from lipbench.core.errors import UsageError
from lipbench.core.seeding import seed_torch
from lipbench.core.training import Budget
from lipbench.core.training import train as run
from lipbench.nerf.training import graph
from lipbench.nerf.training.graph import WARM, GraphedStep, NotCaptured
from lipbench.nerf.training.guard import FieldCollapsed
from lipbench.nerf.training.presets import PRESETS, preset
from lipbench.nerf.training.trainer import FieldTraining
from tests import fake_device, fake_graph
from tests.baselines.adnerf.test_audio_field import small_preset, talking_disc
from tests.fake_graph import FakeGraph

pytestmark = pytest.mark.skipif(
    not hasattr(sys.modules["torch.optim.adam"], "_device_dtype_check_for_fused"),
    reason="the stand-in for a card knows the Adam of later versions of torch than this one",
)

STEPS = WARM + 3
SMALL = {"condition": 6, "latent": 4, "rays": 32, "width": 16, "depth": 6, "coarse": 6, "fine": 5, "warmup": 5}
FIELDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "paper": ("paper", "mlp", SMALL),
    "quick": ("quick", "mlp", {**SMALL, "frames": 4}),
    "quick, plain network": ("quick", "mlp", {**SMALL, "frames": 4, "fused": False}),
    "tri-plane": (
        "quick",
        "triplane",
        {"condition": 6, "latent": 4, "rays": 32, "resolutions": (8,), "blended": 8, "blend": 2, "width": 16},
    ),
}


def training(name: str, device: str, scene: Any, **changes: Any) -> FieldTraining:
    """One of `FIELDS`, without checks of the opacity."""
    preset_name, kind, settings = FIELDS[name]
    made = FieldTraining(scene, preset(preset_name, kind, {"graph": True, **settings, **changes}), 0, device)
    made.check_steps = ()
    return made


def went(some: FieldTraining, first: int = 0, last: int = STEPS) -> tuple[list[float], list[Tensor]]:
    """Errors of these steps, and the parameters after them."""
    errors = []
    for number in range(first, last):
        seed_torch(number)
        errors.append(float(some.step(number, number / 20)["photo"]))
    learnt = [*some.optimizer.param_groups[0]["params"], some.latents]
    return errors, [value.detach().cpu().clone() for value in learnt]


def never() -> AbstractContextManager[Any]:
    """Steps of a graph's training that no graph holds."""
    return mock.patch.object(graph, "WARM", 10**9)


@pytest.mark.parametrize("name", FIELDS)
def test_a_replay_does_what_the_step_does(name: str, ball_scene: Callable[..., Any]) -> None:
    before = FakeGraph.replays
    with fake_graph.card() as device:
        errors, learnt = went(training(name, device, ball_scene()))
        assert FakeGraph.replays - before == STEPS - WARM
        with never():
            wanted, same = went(training(name, device, ball_scene()))
        assert FakeGraph.replays - before == STEPS - WARM
        assert errors == wanted
        assert all(torch.equal(a, b) for a, b in zip(learnt, same, strict=True))
        if name.startswith("paper"):
            return  # a single frame is drawn by other random numbers
        # Plain steps: their rates are double precision's.
        plain, other = went(training(name, device, ball_scene(), graph=False))
    assert errors == pytest.approx(plain, rel=1e-5)
    for a, b in zip(learnt, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6 if name != "tri-plane" else 2e-4)


def test_rates_that_are_numbers_would_stand_still(ball_scene: Callable[..., Any]) -> None:
    """What the test above would say of a graph that knows its rates as numbers."""

    def numbers(self: FieldTraining, rates: list[float]) -> tuple[Tensor, Tensor]:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.graphed = self.graphed or GraphedStep(self._iteration, self.device)
        error, psnr = self.graphed()
        return error, psnr

    with fake_graph.card() as device:
        _, wanted = went(training("quick", device, ball_scene()))
        with mock.patch.object(FieldTraining, "_graphed", numbers):
            _, learnt = went(training("quick", device, ball_scene()))
    assert max(float((a - b).abs().max()) for a, b in zip(learnt, wanted, strict=True)) > 1e-5


def test_a_training_goes_on_where_it_stopped(tmp_path: Path, ball_scene: Callable[..., Any]) -> None:
    budget = Budget(steps=12, validate_every=6, report_every=4, image_every=0)
    with fake_graph.card() as device:
        whole = training("quick", device, ball_scene())
        run(whole, tmp_path / "whole", budget)
        cut = training("quick", device, ball_scene())
        step = cut.step

        def stopped(number: int, progress: float) -> dict[str, float]:
            if number == 10:  # four steps after the checkpoint, one of them replayed
                raise InterruptedError
            return step(number, progress)

        with mock.patch.object(cut, "step", stopped), pytest.raises(InterruptedError):
            run(cut, tmp_path / "cut", budget)
        rest = training("quick", device, ball_scene())
        run(rest, tmp_path / "cut", budget)
        for a, b in zip(whole.field.state_dict().values(), rest.field.state_dict().values(), strict=True):
            assert torch.equal(a.cpu(), b.cpu())
        assert torch.equal(whole.latents.detach().cpu(), rest.latents.detach().cpu())


def test_the_field_is_looked_at_and_begun_again(ball_scene: Callable[..., Any]) -> None:
    """Numbers that are none are seen at the next check, from which another graph goes on; the last one gives up."""
    with fake_graph.card() as device:
        some = training("quick", device, ball_scene())
        went(some)
        some.check_steps, first = (STEPS + 1, STEPS + 2), some.graphed
        with torch.no_grad():
            some.latents.fill_(float("nan"))
        errors, _ = went(some, STEPS, STEPS + 1)
        assert errors[0] != errors[0]
        assert some.attempt == 1
        assert some.graphed is not first
        some.check_steps = ()
        before = FakeGraph.replays
        errors, learnt = went(some, 0, STEPS)
        assert FakeGraph.replays - before == STEPS - WARM
        assert all(error == error for error in errors)
        assert all(value.isfinite().all() for value in learnt)
        with torch.no_grad():
            some.latents.fill_(float("nan"))
        some.check_steps, some.attempt = (STEPS + 1,), 99
        with pytest.raises(FieldCollapsed):
            went(some, STEPS, STEPS + 1)


def test_audio_codes_that_begin_to_be_mixed_are_captured_anew() -> None:
    scene, windows = talking_disc()

    def learnt(device: str) -> list[Tensor]:
        settings = small_preset(steps=20, rays=32, graph=True)
        some = AudioFieldTraining(scene, windows, settings, 0, device, smooth_after=STEPS / 20)
        some.check_steps = ()
        went(some, 0, 2 * STEPS)
        return [value.detach().cpu().clone() for value in some.audio.parameters()]

    with fake_graph.card() as device:
        found = learnt(device)
        with never():
            wanted = learnt(device)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_what_is_launched_beside_a_graph_is_its_rates(ball_scene: Callable[..., Any]) -> None:
    calls: list[str] = []
    watch = fake_device.on_card

    def watched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        calls.append(func.name())
        return watch(func, args, kwargs)

    with fake_graph.card() as device:
        some = training("paper", device, ball_scene())
        went(some)
        with mock.patch.object(fake_device, "on_card", watched):
            some.step(STEPS, 0.5)
    assert calls == ["aten::fill_.Scalar"] * 2  # of the networks and of the codes


def _adds_up(x: Tensor) -> Tensor:
    total = torch.zeros(3, device=x.device)
    return total.index_put_((torch.zeros(4, dtype=torch.long, device=x.device),), x, accumulate=True)


UNFIT: dict[str, Callable[[Tensor], Any]] = {
    "asks for a number": lambda x: x.sum().item(),
    "branches on a number": lambda x: x if x.sum() > 0 else -x,
    "compares": lambda x: torch.equal(x, x),
    "looks for rows": torch.nonzero,
    "picks rows by a mask": lambda x: x[x > 2],
    "fills rows by a mask": lambda x: x.index_put((x > 2,), torch.zeros_like(x[0])),
    "picks what is kept": lambda x: x.masked_select(x > 2),
    "repeats as often as a tensor says": lambda x: torch.repeat_interleave(x.long()),
    "brings it home": lambda x: x.cpu(),
    "brings numbers over": lambda x: x + torch.tensor([1.0, 2.0, 3.0, 4.0], device=x.device),
    "picks rows by a list": lambda x: x[[0, 2]],
    "counts on the host": lambda x: torch.zeros(()).add_(1),
    "adds a number of the host": lambda x: x + torch.ones(()),
    "draws one of some": lambda x: torch.multinomial(x, 1, replacement=True),
    "adds up into places": _adds_up,
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_no_graph_can_hold_is_refused(what: str) -> None:
    with fake_graph.card() as device:
        x = torch.arange(4.0, device=device)

        def body() -> tuple[Tensor, ...]:
            UNFIT[what](x)
            return (x * 2,)

        step = GraphedStep(body, device)
        for _ in range(WARM):
            step()
        with pytest.raises(NotCaptured, match="when stream is capturing") as caught:
            step()
    assert "`graph`" in caught.value.fix
    assert not caught.value.kept


def test_a_reading_in_a_trainings_step_is_refused(ball_scene: Callable[..., Any]) -> None:
    with fake_graph.card() as device:
        some = training("quick", device, ball_scene())
        backward = some._backward

        def read(batch: Any) -> Tensor:
            error = backward(batch)
            error.item()
            return error

        with mock.patch.object(some, "_backward", read):
            went(some, 0, WARM)
            with pytest.raises(NotCaptured, match="_local_scalar_dense waits for the card"):
                went(some, WARM, WARM + 1)


def test_only_a_card_takes_it(ball_scene: Callable[..., Any]) -> None:
    assert not any(each.graph for each in PRESETS.values())
    with pytest.raises(UsageError, match="CUDA card") as caught:
        training("quick", "cpu", ball_scene())
    assert not caught.value.kept
    graph.check("cuda:1")
    with fake_graph.card() as device:
        assert training("quick", device, ball_scene()).facts["graph"] == graph.NOTE
        assert "graph" not in training("quick", device, ball_scene(), graph=False).facts


def test_torch_is_called_as_it_wants_to_be() -> None:
    """What the stand-ins take, torch's own take too."""
    inspect.signature(torch.cuda.graph).bind(None, stream=None)
    inspect.signature(torch.cuda.stream).bind(None)
    inspect.signature(torch.cuda.current_stream).bind("cuda:0")
    inspect.signature(torch.cuda.Stream.__new__).bind(torch.cuda.Stream, "cuda:0")
    inspect.signature(torch.cuda.Stream.wait_stream).bind(None, None)
    inspect.signature(torch.cuda.CUDAGraph.replay).bind(None)
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)


def test_the_stand_in_replays_memory_and_nothing_else() -> None:
    numbers = iter((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0))
    with fake_graph.card() as device:
        held, seen = torch.zeros(2, device=device), torch.zeros(2, device=device)

        def body() -> tuple[Tensor, ...]:
            held.add_(seen + next(numbers))
            return held * 2, torch.rand(1, device=device)

        step = GraphedStep(body, device)
        for _ in range(WARM):
            step()
        assert held.tolist() == [6.0, 6.0]
        torch.manual_seed(5)
        drawn = torch.rand(1)
        torch.manual_seed(5)
        twice, random = step()  # captured with 4
        assert (held.tolist(), twice.tolist()) == ([10.0, 10.0], [20.0, 20.0])
        assert random.tolist() == drawn.tolist()
        seen.fill_(100.0)
        torch.manual_seed(6)
        again, other = step()  # with 4 still, and with what is in memory now
        assert again is twice
        assert (held.tolist(), twice.tolist()) == ([114.0, 114.0], [228.0, 228.0])
        torch.manual_seed(6)
        assert other.tolist() == torch.rand(1).tolist() != drawn.tolist()
