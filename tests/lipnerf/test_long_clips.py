"""What the stages hold of a clip does not grow with its length: frames and label maps lie in files."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lipbench.baselines.adnerf import torso_scene
from lipbench.baselines.adnerf.outline import outlines
from lipbench.faces.parsing import HeadGuide, Label, Parsing, clean_plate, mend_heads, parser
from lipbench.lipnerf.composite.temporal import TemporalInpainter
from lipbench.lipnerf.fitting import photo_stage
from lipbench.lipnerf.prepared import head_crop
from lipbench.media import held
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.scene import pool as pool_reliefs
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import make_scene

SIDE = 120
#: The short one has all the frames that samples are taken of.
SHORT, LONG = 60, 100


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "IN_MEMORY", 2 * SIDE * SIDE)


@cache
def clip(n: int) -> tuple[np.ndarray, Parsing, HeadGuide]:
    """A head that sways over a neck and a torso, its labels, and its landmarks."""
    marks = np.zeros((n, 68, 2))
    frames, labels = held.room((n, SIDE, SIDE, 3), np.uint8), held.room((n, SIDE, SIDE), np.uint8)
    rng = np.random.default_rng(0)
    wall = rng.integers(60, 100, (SIDE, SIDE, 3), np.uint8)
    for t in range(n):
        x, shown = 60 + round(4 * np.sin(t / 3)), np.zeros((SIDE, SIDE), np.uint8)
        shown[85:, 35:85], shown[75:, 52:68] = Label.TORSO, Label.NECK
        cv2.ellipse(shown, (x, 50), (22, 32), 0, 0, 360, int(Label.HEAD), -1)
        frames[t] = wall
        for part, color in ((Label.TORSO, (30, 30, 120)), (Label.NECK, (160, 110, 90)), (Label.HEAD, (190, 140, 110))):
            frames[t][shown == part] = color
        labels[t] = shown
        angle = np.linspace(np.pi, 0, 17)
        marks[t, :17] = np.stack([x + 21 * np.cos(angle), 46 + 36 * np.sin(angle)], 1)
        marks[t, 17:] = np.array([x, 45]) + rng.normal(0, 3, (51, 2))
        marks[t, 36:48, 0] += np.repeat([-9, 9], 6)
    return frames, Parsing(labels, "drawn"), HeadGuide(landmarks=marks)


def silhouette(_: int) -> np.ndarray:
    return np.zeros((SIDE, SIDE), bool)


def mended(frames: np.ndarray, parsing: Parsing, guide: HeadGuide, _: Path) -> Any:
    return mend_heads(frames, parsing, guide, silhouette)


def loaded(_: np.ndarray, __: Parsing, ___: HeadGuide, folder: Path) -> Any:
    return Parsing.load(folder / "parsing.npz")


def cropped(_: np.ndarray, parsing: Parsing, __: HeadGuide, ___: Path) -> Any:
    return head_crop(labels == Label.HEAD for labels in parsing.labels), parsing.take(np.arange(2, len(parsing)))


def shrunk(frames: np.ndarray, _: Parsing, __: HeadGuide, ___: Path) -> Any:
    return photo_stage.shrink(frames, np.arange(len(frames)), 60.0, 40.0)


def inpainted(frames: np.ndarray, parsing: Parsing, _: HeadGuide, __: Path) -> Any:
    return TemporalInpainter(frames, parsing)


def moving(frames: np.ndarray, parsing: Parsing, _: HeadGuide, __: Path) -> Any:
    return clean_plate(frames, parsing, static=False).frame(9)


def scene(frames: np.ndarray, parsing: Parsing) -> Scene:
    n = len(frames)
    turned, away = np.tile(np.eye(3), (n, 1, 1)), np.tile([0.0, 0.0, -7.0], (n, 1))
    head = held.hold(labels == Label.HEAD for labels in parsing.labels)
    plate, mouth = np.zeros((SIDE, SIDE, 3), np.uint8), np.tile([50, 60, 70, 70], (n, 1))
    return make_scene(frames, head, plate, turned, away, 300.0, (60, 50), np.zeros((n, 4)), mouth)


def reliefs(frames: np.ndarray, parsing: Parsing, _: HeadGuide, __: Path) -> Any:
    class Model:
        n_expression, basis_hash = 4, "none"

    whole = scene(frames, parsing)
    one = ReliefScene(whole, frames, whole.head, Model(), np.zeros(1))  # type: ignore[arg-type]
    some = one.take(np.arange(0, len(one), 2))
    return some.resized(0.5), pool_reliefs([one, some])


def torsos(frames: np.ndarray, parsing: Parsing, _: HeadGuide, __: Path) -> Any:
    class Prepared:
        crop = (0, 0, SIDE, SIDE)

    prepared: Any = Prepared()
    prepared.parsing = parsing
    codes = np.zeros((len(frames), 64), np.float32)
    return torso_scene.torso_scene(
        prepared, frames, clean_plate(frames, parsing, static=True), scene(frames, parsing), codes
    )


def outlined(frames: np.ndarray, parsing: Parsing, _: HeadGuide, __: Path) -> Any:
    shown = scene(frames, parsing)
    return outlines(shown.head, shown.mouth)


STEPS = (mended, loaded, cropped, shrunk, inpainted, moving, reliefs, torsos, outlined)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_memory_does_not_grow_with_the_clip(step: Callable[..., Any], tmp_path: Path) -> None:
    most = []
    for n in (12, SHORT, LONG):  # the first one imports what is needed
        given = clip(n)
        given[1].save(tmp_path / "parsing.npz")
        gc.collect()
        tracemalloc.start()
        made = step(*given, tmp_path)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del made
    # Less than half of what a byte a pixel of each further frame takes.
    assert most[2] - most[1] < (LONG - SHORT) * SIDE * SIDE / 2


def test_labels_of_a_long_clip_lie_in_a_file() -> None:
    frames, _, guide = clip(12)
    assert isinstance(parser("color").parse(frames, guide).labels, np.memmap)
