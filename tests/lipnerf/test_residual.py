"""Residuals of a clip's own frames: what is kept of them, and which a dub's frame takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipbench.core.errors import WeightsError
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import Camera
from lipbench.faces.raster.zbuffer import visibility
from lipbench.lipnerf import residual
from lipbench.lipnerf.residual import Corrector, Poses, Residuals, gather, kept_frames
from lipbench.nerf.relief.mesh import HeadMesh, seen_values

MODEL = load_model("procedural")
MESH = HeadMesh(MODEL, np.zeros(MODEL.n_identity), np.zeros(MODEL.n_expression))
SIZE, FPS, FRAMES = 96, 25.0, 40
CAMERA = Camera(2.4 * SIZE, SIZE, SIZE)


def jaw_down(share: float) -> np.ndarray:
    """The jaw opened by a share of what it can."""
    weights = np.zeros((1, len(SEMANTIC)))
    weights[0, SEMANTIC.index("jawOpen")] = share
    return np.asarray(semantic_to_expression(weights)[0] - semantic_to_expression(0 * weights)[0])


def poses(openings: np.ndarray, sideways: float = 0.0) -> Poses:
    """Frames whose jaws are opened, the later half moved sideways by dm."""
    n = len(openings)
    place = np.tile([0.0, 0.0, -8.0], (n, 1))
    place[n // 2 :, 0] = sideways
    return Poses(MESH, np.stack([jaw_down(x) for x in openings]), np.tile(np.eye(3), (n, 1, 1)), place, CAMERA)


def missed(openings: np.ndarray, noise: float = 0.0) -> tuple[np.ndarray, Callable[..., Iterator[tuple]]]:
    """Frames, and what a field draws of them that is darker by 60 levels the farther a jaw is open."""
    rng = np.random.default_rng(0)
    filmed = np.full((len(openings), SIZE, SIZE, 3), 150, np.uint8)

    def drawn(where: Callable[[int], np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for j, opening in enumerate(openings):
            wanted = where(j)
            off = 60 * opening + noise * rng.standard_normal((SIZE, SIZE, 1))
            yield (wanted[..., None] * (150 - off) / 255 * np.ones(3)).astype(np.float32), wanted.astype(np.float32)

    return filmed, drawn


def gathered(openings: np.ndarray, noise: float = 0.0, sideways: float = 0.0) -> tuple[Poses, Residuals]:
    where = poses(openings, sideways)
    filmed, drawn = missed(openings, noise)
    return where, gather(where, filmed, np.arange(len(openings)), drawn, FPS)


def lips(where: Poses, t: int, expression: np.ndarray) -> tuple[int, int]:
    """The pixel between the lips."""
    placed = MESH.placed(MESH.moved(expression), where.rotation[t], where.translation[t])
    x, y = CAMERA.project(placed[MESH.mark_rows])[57]
    return int(y), int(x)


def added(corrector: Corrector, t: int, expression: np.ndarray) -> np.ndarray:
    """(H, W, 3) what a dub's frame takes."""
    out = np.zeros((SIZE, SIZE, 3), np.float32)
    view, image = corrector.part(t, MESH.moved(expression))
    out[view] = image
    return out


OPENINGS = np.tile(np.linspace(0, 1, FRAMES // 2), 2)


def test_a_dub_takes_what_own_frames_of_its_lips_are_missed_by() -> None:
    where, held = gathered(OPENINGS)
    assert held.share == pytest.approx(1.0, abs=0.03)
    corrector = Corrector(where, held)
    for opening in (0.3, 0.5, 0.8):
        found = added(corrector, 3, jaw_down(opening))
        assert found[lips(where, 3, jaw_down(opening))] == pytest.approx(60 * opening, abs=5)
        assert not found[: SIZE // 3].any()


def test_residuals_are_moved_with_the_head() -> None:
    where, held = gathered(OPENINGS, sideways=0.8)
    corrector = Corrector(where, held)
    first, later = (added(corrector, t, jaw_down(0.5)) for t in (0, FRAMES - 1))
    centers = [np.flatnonzero(image.any((0, 2))).mean() for image in (first, later)]
    assert centers[1] - centers[0] == pytest.approx(0.8 * CAMERA.focal / 8.0, abs=1.0)
    assert first.sum() == pytest.approx(later.sum(), rel=0.05)


def test_errors_of_single_frames_are_not_put_into_others() -> None:
    only_noise = np.zeros(FRAMES)
    where, held = gathered(only_noise, noise=20)
    assert held.share < 0.2
    assert np.abs(added(Corrector(where, held), 0, jaw_down(0.0))).mean() < 0.2


def test_frames_come_and_go_little_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "NEAREST", 4)
    where, held = gathered(OPENINGS)
    corrector = Corrector(where, held)
    path = [added(corrector, 0, jaw_down(x))[lips(where, 0, jaw_down(0.5))].mean() for x in np.linspace(0.45, 0.55, 41)]
    assert np.abs(np.diff(path)).max() < 0.6


def test_a_background_that_shows_through_is_no_error() -> None:
    where = poses(OPENINGS)
    filmed = np.full((FRAMES, SIZE, SIZE, 3), 150, np.uint8)
    half = np.full((SIZE, SIZE), 0.5, np.float32)
    drawn = ((np.full((SIZE, SIZE, 3), 0.5 * 150 / 255, np.float32), half) for _ in range(FRAMES))
    assert not gather(where, filmed, np.arange(FRAMES), lambda _: drawn, FPS).images.any()


def test_files_are_read_as_written(tmp_path: Path) -> None:
    _, held = gathered(OPENINGS[::4])
    read = Residuals.load(held.save(tmp_path / "residuals.npz"))
    assert read.share == held.share
    for name in ("frames", "corners", "images"):
        np.testing.assert_array_equal(getattr(read, name), getattr(held, name))
    (tmp_path / "other.npz").write_bytes(b"no")
    with pytest.raises(WeightsError, match="residuals"):
        Residuals.load(tmp_path / "other.npz")


def test_the_loop_looks_up_what_opencv_takes_from_single_frames() -> None:
    """One own frame after the other, each drawn over the dub's mesh by itself."""
    where, held = gathered(OPENINGS, noise=30, sideways=0.3)
    corrector, t, moved = Corrector(where, held), 7, MESH.moved(jaw_down(0.4))
    view, found = corrector.part(t, moved)
    points = corrector._points(t, moved)
    rows, weights = corrector._nearest(t, points, -1.0)
    camera, _ = corrector._camera(points)
    triangle = visibility(points, corrector._triangles, camera).triangle
    expected = np.zeros_like(found)
    for row, weight in zip(rows, held.share * weights, strict=True):
        own = where.camera.project(corrector._points(int(held.frames[row]), MESH.moved(where.expression[row])))
        values = np.pad(own - held.corners[row] - 0.5, ((0, 0), (0, 1)))
        there = seen_values(points, values, corrector._triangles, triangle, camera)[1]
        there[triangle < 0] = -9
        image = held.images[row].astype(np.float32)
        expected += np.float32(weight) * cv2.remap(image, there[..., 0], there[..., 1], cv2.INTER_LINEAR)
    assert np.abs(expected).max() > 10
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.shape[:2] == (view[0].stop - view[0].start, view[1].stop - view[1].start)


def test_of_long_clips_frames_are_kept_evenly() -> None:
    assert kept_frames(np.arange(200), 200).tolist() == list(range(200))
    assert kept_frames(np.arange(1000), 800).tolist() == list(range(0, 800, 4))  # further shots are no own frames
