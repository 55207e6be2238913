"""Speed of posing and rendering the procedural head on one core.

`cpu_ms` in the extra info is process CPU time per frame, which other jobs on the machine disturb less than wall time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lipbench.faces.morphable.semantic import semantic_to_expression
from lipbench.faces.raster import Camera, Light, Renderer, euler_to_matrix, visibility
from lipbench.synthetic import head as procedural


@pytest.fixture(scope="module")
def head() -> procedural.Head:
    return procedural.build(procedural.sample_identity(3))


def cpu_ms(call: Callable[[], Any], n: int) -> float:
    call()
    start = time.process_time()
    for _ in range(n):
        call()
    return (time.process_time() - start) / n * 1e3


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("size", [(256, 256), (450, 450), (1280, 720)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_render(benchmark: Any, head: procedural.Head, size: tuple[int, int], samples: int) -> None:
    renderer, camera = Renderer(head.surface), Camera.portrait(size[0], height=size[1])
    vertices = head.pose_frame({"jawOpen": 0.4}, euler_to_matrix([0.05, 0.3, 0.0]))

    def frame() -> None:
        renderer.render(vertices, camera, Light(), supersample=samples)

    benchmark.extra_info["cpu_ms"] = round(cpu_ms(frame, 5), 1)
    benchmark.extra_info["triangles"] = len(head.surface.triangles)
    benchmark.pedantic(frame, rounds=5, warmup_rounds=1)


def test_visibility_only(benchmark: Any, head: procedural.Head) -> None:
    """The z-buffer alone, against the whole frame: what shading costs."""
    camera = Camera.portrait(256)
    vertices, culled = head.pose_frame({}), ~head.surface.two_sided
    renderer = Renderer(head.surface)

    def buffer() -> None:
        visibility(vertices, head.surface.triangles, camera, culled)

    alone = cpu_ms(buffer, 5)
    whole = cpu_ms(lambda: renderer.render(vertices, camera, supersample=1), 5)
    benchmark.extra_info["cpu_ms"] = round(alone, 2)
    benchmark.extra_info["share_of_frame"] = round(alone / whole, 2)
    benchmark.pedantic(buffer, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("kind", ["semantic", "coefficients"])
def test_pose(benchmark: Any, head: procedural.Head, kind: str) -> None:
    weights: Any = {"jawOpen": 0.4, "smileL": 0.3, "blinkR": 0.5}
    if kind == "coefficients":
        weights = semantic_to_expression(weights)
    rotation = euler_to_matrix([0.05, 0.3, 0.0])

    def frame() -> None:
        head.pose_frame(weights, rotation, gaze=(0.1, -0.1))

    benchmark.extra_info["cpu_ms"] = round(cpu_ms(frame, 20), 2)
    benchmark.pedantic(frame, rounds=10, warmup_rounds=1)


def test_build(benchmark: Any, head: procedural.Head) -> None:
    """One more identity, the template being built."""

    def build() -> None:
        procedural.build(head.identity)

    benchmark.extra_info["cpu_ms"] = round(cpu_ms(build, 2), 1)
    benchmark.pedantic(build, rounds=3)
