"""A generated person who turns from the front to 80 degrees: with a relief for each side, and with one alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench.faces.morphable import load_model
from lipbench.faces.raster import euler_to_matrix
from lipbench.lipnerf.face_boxes import eye_boxes, eye_opening, mouth_boxes
from lipbench.nerf.relief import training
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.sides import TrainedSides, azimuths
from lipbench.nerf.relief.sides_training import train
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.scene_from_fit import make_scene
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.synthetic.head import joint_translation
from lipbench.synthetic.true_scene import HEAD

FRAMES, SIZE, MOST = 60, 128, 80.0  # px, degrees
SETTINGS = {"steps": 80, "rays": 4096, "appearances": 12}


def turning(person: int) -> ReliefScene:
    """True poses, expressions and masks of a clip in which the head turns to one side and back."""
    planned = plan(ClipSpec("turn", 11, person, "en", (), seconds=FRAMES / 25, width=SIZE, height=SIZE))
    angles = planned.motion.angles.copy()
    angles[:, 0] += MOST * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAMES) / FRAMES)) - angles[:, 0].mean()
    rotation = euler_to_matrix(np.deg2rad(angles[:, [1, 0, 2]]))
    body = planned.body_rotation, planned.body_translation
    translation = np.stack([joint_translation(turn, body) for turn in rotation]) + planned.motion.shift
    moved = replace(planned, rotation=rotation, translation=translation)
    shot = RenderedShot(moved, "en")
    frames, truth = np.stack(list(shot)), shot.annotations()
    labels = np.stack([shot.label(t) for t in range(FRAMES)])
    head, marks = np.isin(labels, HEAD), truth.landmarks68
    focal, cx, cy = map(float, truth.camera)
    boxes = mouth_boxes(marks), eye_boxes(marks), eye_opening(marks)
    poses = truth.rotation, truth.translation, focal, (cx, cy), truth.expression
    scene = make_scene(frames, head, planned.backdrop, *poses, *boxes)
    return ReliefScene(scene, frames, (labels > 0) & ~head, load_model("procedural"), truth.identity)


def errors(model: TrainedRelief | TrainedSides, scene: ReliefScene, frames: np.ndarray) -> float:
    """dB over the plate in the head's pixels, under the frames' own expressions."""
    found = []
    for t, shown in zip(frames, model.render(scene, scene.condition[frames], frames), strict=True):
        over = shown.rgb + (1 - shown.alpha[..., None]) * scene.scene.plates[0] / 255
        found.append(((over - scene.filmed[t] / 255)[scene.scene.head[t]] ** 2).mean())
    return float(-10 * np.log10(np.mean(found)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sides_are_worth_decibels_where_the_head_turns_far(tmp_path: Path) -> None:
    scene = turning(3)
    preset = relief_preset("demo", {**SETTINGS, "condition": scene.condition.shape[1]})
    sides, alone = train(scene, preset, tmp_path / "sides"), training.train(scene, preset, tmp_path / "alone")
    assert isinstance(sides, TrainedSides)
    assert sides.fronts == (-60.0, 0.0)
    away = np.abs(azimuths(scene))
    for low, high, gain in ((0, 30, 1.0), (30, 60, 2.0), (60, 90, 6.0)):
        frames = np.flatnonzero((away >= low) & (away < high))[::4]
        one, other = errors(sides, scene, frames), errors(alone, scene, frames)
        print(f"{low} to {high} degrees, {len(frames)} frames: {other:.2f} dB, with sides {one:.2f}")
        assert one > other + gain
