"""From a trained head and a trained torso to a dub's frames: torso over head over plate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.adnerf.torso_pose import pose_code
from lipbench.baselines.adnerf.torso_scene import torso_view
from lipbench.faces.parsing import Plate
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.trained import TrainedField, render_frames


def composed(
    prepared: PreparedClip,
    plate: Plate,
    head: TrainedField,
    torso: TrainedField,
    scene: Scene,
    n: int,
    driven: NDArray[np.float32],
    index: NDArray[np.int64],
) -> Iterator[NDArray[np.uint8]]:
    """The dub's frames (H, W, 3).

    Args:
        prepared: of the clip.
        plate: of all its frames.
        scene: the head's cameras in them (of the crop).
        n: how many of them were trained on: they decide about the torso's camera.
        driven: (N, 64) codes of the dub's audio.
        index: (N,) frame of the clip whose pose each output frame takes.
    """
    x0, y0, x1, y1 = prepared.crop
    size = prepared.parsing.labels.shape[1:3]
    conditions = np.concatenate([driven, pose_code(scene.c2w)[index]], 1)
    view = torso_view(prepared, scene.take(np.arange(n)), size, conditions.shape[1])
    heads = render_frames(head, scene, driven, None, index)
    torsos = render_frames(torso, view, conditions, None, np.zeros(len(index), np.int64))
    for t, face, body in zip(index, heads, torsos, strict=True):
        image = plate.frame(int(t)).astype(np.float32) / 255.0
        image[y0:y1, x0:x1] = face.rgb + (1.0 - face.alpha[..., None]) * image[y0:y1, x0:x1]
        image = body.rgb + (1.0 - body.alpha[..., None]) * image
        yield (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
