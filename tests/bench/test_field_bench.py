"""LipNeRF's training step and rendering against the plain formula of AD-NeRF at the same dimensions, one thread.

Also the check that both compute the same: images and gradients to 1e-6.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import statistics
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

from lipbench.nerf import model
from lipbench.nerf.compositing import active_samples
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.model import HeadField
from lipbench.nerf.rays import Rays

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


def pair(plain: ModuleType, condition: int, latent: int, width: int, empty: float = 0.0) -> tuple[HeadField, list[Any]]:
    """The same weights twice; densities high enough that rays end inside the head.

    empty: share of the samples without density; 0 is our worst case, a head in its slab has half and more.
    """
    torch.manual_seed(0)
    config = FieldConfig(condition=condition, latent=latent, width=width)
    field = HeadField(config, torch.tensor([[-0.1, -0.1, -0.1], [0.1, 0.1, 0.1]]))
    nets = []
    for ours in (field.coarse, field.fine):
        with torch.no_grad():
            ours.alpha_linear.weight.mul_(60.0)
            ours.alpha_linear.bias.fill_(4.0)
            if empty:
                rays, _, code, _ = some_rays(64)
                points = rays.at(torch.linspace(NEAR, FAR, 32).expand(1, 64, 32))
                raw = ours(points, rays.direction / rays.length, code[:, : condition + latent], False)[1]
                ours.alpha_linear.bias -= torch.quantile(raw, empty)
                ours.alpha_linear.weight.mul_(4.0)
                ours.alpha_linear.bias.mul_(4.0)
        net = plain.PlainField(condition + latent, width)
        net.load_state_dict(ours.state_dict())
        nets.append(net)
    return field, nets


def some_rays(count: int) -> tuple[Rays, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rays, background, condition (1, 111), true colors."""
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


def adam(parameters: Any, rate: float = 5e-4) -> torch.optim.Adam:
    """A rate of 0 keeps both sides' samples as they are over the rounds."""
    return torch.optim.Adam(list(parameters), lr=rate)


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def ratio(one: Callable[[], object], other: Callable[[], object], rounds: int = 3) -> dict[str, float]:
    """CPU seconds of both, in turn; other programs on the machine change these least. Ratio: median of the rounds'."""
    times = []
    for _ in range(rounds):
        times.append([])
        for run in (one, other):
            start = time.process_time()
            run()
            times[-1].append(time.process_time() - start)
    return {
        "plain_cpu_s": min(a for a, _ in times),
        "ours_cpu_s": min(b for _, b in times),
        "plain_over_ours": statistics.median(a / b for a, b in times),
    }


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


def test_equal_where_samples_are_empty(plain: ModuleType) -> None:
    """At our depths: in empty space rounding moves a drawn depth by more, which is not what is tested here."""
    field, nets = pair(plain, 79, 32, 128, empty=0.6)
    rays, background, code, _ = some_rays(256)
    with torch.no_grad():
        out = field.render(rays, background, code)
        origin, direction, depth = rays.origin.expand(256, 3), rays.direction[0], out.depth[0]
        raw = plain.ask(nets[1], origin, direction, depth, code[0])
        fine, weights = plain.blend(raw, depth, direction, background[0])
    assert 0.3 < float((weights == 0).float().mean()) < 0.9
    torch.testing.assert_close(out.fine.rgb[0], fine, rtol=0, atol=1e-6)


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


def shares(field: HeadField, data: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Of the coarse and fine samples, those that matter."""
    seen: list[float] = []

    def noted(*given: Any) -> torch.Tensor:
        found = active_samples(*given)
        seen.append(float(found.float().mean()))
        return found

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(model, "active_samples", noted)
        field.render(*data[:3], train=True)
    return seen[0], seen[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("rays", "empty"), [(256, 0.0), (256, 0.6), (2048, 0.0), (2048, 0.6)])
def test_training_step(
    benchmark: Any, plain: ModuleType, monkeypatch: pytest.MonkeyPatch, rays: int, empty: float
) -> None:
    field, nets = pair(plain, 79, 32, 128, empty)
    data = some_rays(rays)
    ours, theirs = adam(field.parameters(), 0.0), adam((p for n in nets for p in n.parameters()), 0.0)
    found = ratio(lambda: plain_step(plain, nets, theirs, data), lambda: our_step(field, ours, data))
    share = shares(field, data, monkeypatch)
    floor = plain.products(rays, share, True) / plain.product_rate()
    benchmark.extra_info.update(found, matter=share, share_of_floor=floor / found["ours_cpu_s"])
    if rays == 256:
        with torch.autocast("cpu", torch.bfloat16):
            benchmark.extra_info["bf16"] = ratio(
                lambda: plain_step(plain, nets, theirs, data), lambda: our_step(field, ours, data), 1
            )
    benchmark(lambda: None)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("rays", "empty"), [(256, 0.0), (256, 0.6), (2048, 0.0), (2048, 0.6)])
def test_rendering(benchmark: Any, plain: ModuleType, monkeypatch: pytest.MonkeyPatch, rays: int, empty: float) -> None:
    field, nets = pair(plain, 79, 32, 128, empty)
    data = some_rays(rays)

    @torch.no_grad()
    def ours() -> torch.Tensor:
        return torch.cat(
            [
                field.render(data[0].part(rows), data[1][:, rows], data[2]).fine.rgb
                for rows in (slice(k, k + MICRO) for k in range(0, rays, MICRO))
            ],
            1,
        )

    @torch.no_grad()
    def theirs() -> torch.Tensor:
        return plain_picture(plain, nets, data)[1][None]

    found = ratio(theirs, ours)
    share = shares(field, data, monkeypatch)
    floor = plain.products(rays, share, False) / plain.product_rate()
    benchmark.extra_info.update(found, matter=share, share_of_floor=floor / found["ours_cpu_s"])
    exact = ours()
    benchmark.extra_info["error"] = float((exact - theirs()).abs().max())
    with torch.autocast("cpu", torch.bfloat16):
        benchmark.extra_info["bf16_error"] = float((ours() - exact).abs().max())
    benchmark(lambda: None)


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
