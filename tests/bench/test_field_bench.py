"""LipNeRF's training step and rendering against the plain formula of AD-NeRF at the same dimensions, one thread.

Also the check that both compute the same: pictures and gradients to 1e-6.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lipbench.lipnerf.field.config import FieldConfig
from lipbench.lipnerf.field.model import HeadField
from lipbench.lipnerf.field.rays import Rays

NEAR, FAR = 0.58, 1.18
MICRO = 64


def load_plain() -> ModuleType:
    path = Path(__file__).with_name("plain_adnerf.py")
    spec = importlib.util.spec_from_file_location("plain_adnerf", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    return load_plain()


def pair(plain: ModuleType, condition: int, latent: int, width: int) -> tuple[HeadField, list[Any]]:
    """The same weights twice; densities high enough that rays end inside the head."""
    torch.manual_seed(0)
    config = FieldConfig(condition=condition, latent=latent, width=width)
    field = HeadField(config, torch.tensor([[-0.1, -0.1, -0.1], [0.1, 0.1, 0.1]]))
    nets = []
    for ours in (field.coarse, field.fine):
        with torch.no_grad():
            ours.alpha_linear.weight.mul_(60.0)
            ours.alpha_linear.bias.fill_(4.0)
        net = plain.PlainField(condition + latent, width)
        net.load_state_dict(ours.state_dict())
        nets.append(net)
    return field, nets


def some_rays(count: int) -> tuple[Rays, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rays, background, condition (1, 111), true colours."""
    torch.manual_seed(1)
    d = torch.cat([0.15 * torch.randn(1, count, 2), -torch.ones(1, count, 1)], -1)
    near, far = torch.full((1, count), NEAR), torch.full((1, count), FAR)
    rays = Rays(torch.tensor([[0.0, 0.0, 0.85]]), d, near, far)
    return rays, torch.rand(1, count, 3), 0.5 * torch.randn(1, 111), torch.rand(1, count, 3)


def our_step(field: HeadField, optimizer: Any, data: Any, micro: int = MICRO) -> None:
    rays, background, condition, truth = data
    optimizer.zero_grad(set_to_none=True)
    for k in range(0, truth.shape[1], micro):
        rows = slice(k, k + micro)
        out = field.render(rays.part(rows), background[:, rows], condition, train=True)
        loss = (out.fine.rgb - truth[:, rows]).square().sum() + (out.coarse.rgb - truth[:, rows]).square().sum()
        loss.backward()
    optimizer.step()


def plain_step(plain: ModuleType, nets: list[Any], optimizer: Any, data: Any) -> None:
    rays, background, condition, truth = data
    optimizer.zero_grad(set_to_none=True)
    origin = rays.origin.expand(truth.shape[1], 3)
    coarse, fine, _ = plain.render(
        *nets, origin, rays.direction[0], rays.near[0], rays.far[0], background[0], condition[0], 64, 128, train=True
    )
    ((fine - truth[0]).square().sum() + (coarse - truth[0]).square().sum()).backward()
    optimizer.step()


def plain_picture(plain: ModuleType, nets: list[Any], data: Any, train: bool = False) -> Any:
    rays, background, condition, _ = data
    origin = rays.origin.expand(background.shape[1], 3)
    return plain.render(
        *nets, origin, rays.direction[0], rays.near[0], rays.far[0], background[0], condition[0], 64, 128, train
    )


def adam(parameters: Any) -> torch.optim.Adam:
    return torch.optim.Adam(list(parameters), lr=5e-4)


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def best(run: Callable[[], object], rounds: int = 2) -> float:
    """CPU seconds, which other programs on the machine change least."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(("condition", "latent", "width"), [(79, 32, 128), (64, 0, 256)])
def test_equal_to_the_plain_formula(plain: ModuleType, condition: int, latent: int, width: int) -> None:
    field, nets = pair(plain, condition, latent, width)
    rays, background, code, truth = some_rays(256)
    code = code[:, : condition + latent]
    with torch.no_grad():
        _, fine, weights = plain_picture(plain, nets, (rays, background, code, truth))
        out = field.render(rays, background, code)
    torch.testing.assert_close(out.fine.rgb[0], fine, rtol=0, atol=1e-6)
    torch.testing.assert_close(out.fine.transmittance[0], weights[:, -1], rtol=0, atol=1e-6)
    assert 0.05 < float(out.fine.transmittance.mean()) < 0.95  # neither empty nor all opaque


@pytest.mark.parametrize(("condition", "latent", "width"), [(79, 32, 128), (64, 0, 256)])
def test_equal_gradients(plain: ModuleType, condition: int, latent: int, width: int) -> None:
    """In double precision: in single, a ReLU within rounding of 0 switches a sample's gradient on or off."""
    with double():
        field, nets = pair(plain, condition, latent, width)
        rays, background, code, truth = some_rays(24)
        codes = [code[:, : condition + latent].clone().requires_grad_() for _ in range(2)]
        _, fine, _ = plain_picture(plain, nets, (rays, background, codes[0], truth))
        field.double()  # the box is kept in single precision
        out = field.render(rays, background, codes[1])
    fine.sum().backward()
    out.fine.rgb.sum().backward()
    torch.testing.assert_close(codes[1].grad, codes[0].grad, rtol=1e-8, atol=1e-10)
    for ours, plains in zip(field.fine.parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(ours.grad, plains.grad, rtol=1e-7, atol=1e-9 * float(plains.grad.abs().max()))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rays", [128, 2048])
def test_training_step(benchmark: Any, plain: ModuleType, rays: int) -> None:
    field, nets = pair(plain, 79, 32, 128)
    data = some_rays(rays)
    ours, theirs = adam(field.parameters()), adam([p for n in nets for p in n.parameters()])
    benchmark.extra_info["plain_over_ours"] = best(lambda: plain_step(plain, nets, theirs, data)) / best(
        lambda: our_step(field, ours, data)
    )
    with torch.autocast("cpu", torch.bfloat16):
        benchmark.extra_info["bf16_cpu_s"] = best(lambda: our_step(field, ours, data))
    benchmark.pedantic(our_step, (field, ours, data), rounds=2, warmup_rounds=1)


@pytest.mark.slow
def test_rendering(benchmark: Any, plain: ModuleType) -> None:
    field, nets = pair(plain, 79, 32, 128)
    data = some_rays(256)
    rays, background, code, _ = data

    def ours() -> None:
        with torch.no_grad():
            for k in range(0, 256, 64):
                rows = slice(k, k + 64)
                field.render(rays.part(rows), background[:, rows], code)

    def theirs() -> None:
        with torch.no_grad():
            plain_picture(plain, nets, data)

    benchmark.extra_info["plain_over_ours"] = best(theirs) / best(ours)
    benchmark.pedantic(ours, rounds=2, warmup_rounds=1)


def grown(which: str, rays: int) -> tuple[float, float]:
    """Peak memory in MB before and after one step of a fresh process."""
    torch.set_num_threads(1)
    plain = load_plain()
    field, nets = pair(plain, 79, 32, 128)
    small = some_rays(8)
    ours, theirs = adam(field.parameters()), adam([p for n in nets for p in n.parameters()])

    def step(data: Any) -> None:
        if which == "plain":
            plain_step(plain, nets, theirs, data)
        else:
            our_step(field, ours, data)

    step(small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(some_rays(rays))
    return before / 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rays", [1024, 2048])
def test_peak_memory(benchmark: Any, rays: int) -> None:
    """Of whole processes, and of what a step adds to the interpreter, torch and the weights."""
    peaks = {}
    for which in ("plain", "ours"):
        command = [sys.executable, __file__, which, str(rays)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[which] = json.loads(done.stdout)
    benchmark.extra_info["peak_mb"] = {k: round(v[1]) for k, v in peaks.items()}
    benchmark.extra_info["plain_over_ours"] = peaks["plain"][1] / peaks["ours"][1]
    growth = {k: v[1] - v[0] for k, v in peaks.items()}
    benchmark.extra_info["growth_plain_over_ours"] = growth["plain"] / max(growth["ours"], 1.0)
    benchmark(lambda: None)


if __name__ == "__main__":
    print(json.dumps(grown(sys.argv[1], int(sys.argv[2]))))
