import clip
import numpy as np

from lipbench.lipnerf.face_boxes import mouth_boxes as boxes_of
from lipbench.nerf.training import presets

frames, source = clip.FRAMES, clip.FRAMES[0]
n = len(frames)
across = np.linalg.norm(np.indices((256, 256)).T - clip.TRACK.boxes.reshape(-1, 1, 1, 2, 2).mean(3), axis=-1)
head_masks = across < 60
plate = np.full((256, 256, 3), 90, np.uint8)
rotation, translation_dm = clip.TRUTH.rotation[:n], clip.TRUTH.translation[:n]
focal, center = float(clip.TRUTH.camera[0]), tuple(clip.TRUTH.camera[1:])
expression = clip.TRUTH.expression[:n]
mouth_boxes = boxes_of(clip.TRUTH.landmarks68[:n])
dub_expression, index = expression[:1], [0]

whole = presets.preset


def short(name, kind, changes):
    """The preset with few steps."""
    return whole(name, kind, {**changes, "steps": 6})


presets.preset = short


def afterwards():
    assert image.shape == source.shape
    assert np.isfinite(image).all()
