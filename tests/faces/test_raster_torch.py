"""The torch side of the rasteriser: agrees with numpy, has the right gradients, fits a small scene."""

from __future__ import annotations

import numpy as np
import torch

from lipbench.faces.raster import Camera, barycentrics, sh9, vertex_normals, visibility
from lipbench.faces.raster import torch_raster as tr

CAMERA = Camera(70, 48, 48)


def blob(n: int = 14) -> tuple[torch.Tensor, torch.Tensor]:
    """A bumpy dome in front of the camera."""
    side = np.linspace(-1, 1, n)
    x, y = np.meshgrid(side, side)
    z = -5 + 0.8 * np.exp(-(x**2 + y**2)) + 0.1 * np.sin(3 * x) * np.cos(2 * y)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return torch.from_numpy(points), torch.from_numpy(triangles)


def test_fragments_and_weights_agree_with_numpy() -> None:
    points, triangles = blob()
    fragments = tr.rasterize(points, triangles, CAMERA)
    seen = visibility(points.numpy(), triangles.numpy(), CAMERA, True).triangle
    np.testing.assert_array_equal(fragments.pixel.numpy(), np.flatnonzero(seen.ravel() >= 0))
    expected = barycentrics(points.numpy(), triangles.numpy(), seen, CAMERA)[seen >= 0]
    np.testing.assert_allclose(tr.barycentrics(fragments, points, CAMERA).numpy(), expected, atol=5e-3)
    every_third = tr.rasterize(points, triangles, CAMERA, step=3)
    np.testing.assert_array_equal(every_third.pixel.numpy(), fragments.pixel.numpy()[::3])


def test_interpolated_positions_project_onto_their_pixels() -> None:
    points, triangles = blob()
    fragments = tr.rasterize(points, triangles, CAMERA)
    weights = tr.barycentrics(fragments, points, CAMERA)
    position = tr.interpolate(points, fragments, weights)
    back = tr.project(position, CAMERA.focal, CAMERA.center)
    torch.testing.assert_close(back, fragments.xy.double(), atol=1e-4, rtol=0)
    np.testing.assert_allclose(
        tr.project(points, CAMERA.focal, CAMERA.center).numpy(), CAMERA.project(points.numpy()), atol=1e-9
    )


def test_normals_and_harmonics_agree_with_numpy() -> None:
    points, triangles = blob()
    normals = tr.vertex_normals(points, triangles)
    np.testing.assert_allclose(normals.numpy(), vertex_normals(points.numpy(), triangles.numpy()), atol=1e-9)
    np.testing.assert_allclose(tr.sh9(normals).numpy(), sh9(normals.numpy()), atol=1e-9)


def test_gradients_reach_geometry_and_focal_length() -> None:
    points, triangles = blob(6)
    fragments = tr.rasterize(points, triangles, CAMERA, step=7)
    color = torch.rand(len(points), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def image(vertices: torch.Tensor, focal: torch.Tensor) -> torch.Tensor:
        return tr.interpolate(color, fragments, tr.barycentrics(fragments, vertices, CAMERA, focal)).pow(2).sum()

    focal = torch.tensor(70.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(image, (points.clone().requires_grad_(), focal), eps=1e-6, atol=1e-4, rtol=1e-3)


def test_a_photometric_fit_finds_the_shift() -> None:
    points, triangles = blob()
    color = (0.5 + 0.5 * torch.sin(7 * points[:, :1]) * torch.cos(5 * points[:, 1:2])).repeat(1, 3)
    true = torch.tensor([0.04, -0.03, 0.0], dtype=torch.float64)

    def shade(shift: torch.Tensor, fragments: tr.Fragments) -> torch.Tensor:
        return tr.interpolate(color, fragments, tr.barycentrics(fragments, points + shift, CAMERA))

    target = tr.rasterize(points + true, triangles, CAMERA)
    wanted = tr.to_image(shade(true, target), target, CAMERA).view(-1, 3)
    covered = tr.to_image(torch.ones(len(target.pixel), 1), target, CAMERA).view(-1)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.01)
    for i in range(80):
        if i % 10 == 0:
            fragments = tr.rasterize(points + shift, triangles, CAMERA)
        mask = covered[fragments.pixel]
        loss = ((shade(shift, fragments) - wanted[fragments.pixel]).pow(2).sum(1) * mask).sum() / mask.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (shift.detach() - true)[:2].abs().max() < 0.003
