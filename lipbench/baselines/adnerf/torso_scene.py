"""The torso's frames and its camera: one camera for all of them, the head's of the first training frame.

To the torso the head turns, not the camera; so it is seen from where the head's camera stood in frame 0 and told, frame
by frame, how the head is held (AD-NeRF, sec. 3.3; NeRFs/TorsoNeRF/run_nerf.py, `pose_torso`).
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.adnerf.torso_pose import pose_code
from lipbench.core.errors import Refused
from lipbench.faces.parsing import Label, Plate
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.media.held import hold
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import head_bounds


def torso_scene(
    prepared: PreparedClip, frames: NDArray[np.uint8], plate: Plate, head: Scene, codes: NDArray[np.float32]
) -> Scene:
    """What the torso is trained on.

    Args:
        prepared: of the clip.
        frames: (T, H, W, 3) uint8 RGB of the clip.
        plate: of the same frames.
        head: (n frames) what the head was trained on, the first n of the clip.
        codes: (n, 64) of the audio.

    Returns:
        n frames of full size: the whole person over the plate (the published `com_imgs`), all seen by one camera.
        `head` is where neck or torso are in any frame; `condition` is (n, 64 + 42).

    Raises:
        Refused: there is no torso in the clip.
    """
    n, size = len(head), frames.shape[1:3]
    labels = prepared.parsing.labels[:n]
    where: NDArray[np.bool_] = np.zeros(size, np.bool_)
    for own in labels:
        where |= np.isin(own, (Label.NECK, Label.TORSO))
    if not where.any():
        raise Refused(
            "there is no torso to learn",
            "the parser found neither neck nor torso in the training frames",
            "use `torso: source`, or a clip that shows the shoulders",
        )
    behind = plate.frame(0)[None] if plate.static else hold(plate.frame(t) for t in range(n))
    each = zip(labels, frames, repeat(behind[0]) if plate.static else behind, strict=False)
    condition = np.concatenate([codes, pose_code(head.c2w)], 1)
    return Scene(
        frames=hold(np.where((own != Label.BACKGROUND)[..., None], frame, back) for own, frame, back in each),
        head=hold(repeat(where, n)),
        plates=behind,
        shot=np.zeros(n, np.int64) if plate.static else np.arange(n),
        condition=condition,
        mouth=np.tile(np.array([0, 0, size[1], size[0]]), (n, 1)),
        **_camera(prepared, head, n),
        bounds=head_bounds(where[None], head.c2w[:1], head.focal, _center(prepared, head)),
    )


def torso_view(prepared: PreparedClip, head: Scene, size: tuple[int, int], condition: int) -> Scene:
    """The torso's camera alone, as a scene of one black frame, to render from.

    Args:
        head: the frames that the head was trained on.
        size: (height, width) of the clip.
        condition: length of the torso's codes.
    """
    blank = np.zeros((1, *size), np.uint8)
    whole = np.ones((1, *size), np.bool_)
    return Scene(
        frames=np.repeat(blank[..., None], 3, -1),
        head=whole,
        plates=np.repeat(blank[..., None], 3, -1),
        shot=np.zeros(1, np.int64),
        condition=np.zeros((1, condition), np.float32),
        mouth=np.array([[0, 0, size[1], size[0]]]),
        **_camera(prepared, head, 1),
        bounds=head_bounds(whole, head.c2w[:1], head.focal, _center(prepared, head)),
    )


def _center(prepared: PreparedClip, head: Scene) -> tuple[float, float]:
    """(cx, cy) px in the whole image; the head's scene is a crop of it."""
    return head.center[0] + prepared.crop[0], head.center[1] + prepared.crop[1]


def _camera(prepared: PreparedClip, head: Scene, n: int) -> dict[str, Any]:
    """The head's camera of frame 0, n times; near and far are one pair for the clip, from the mean depth."""
    return {
        "c2w": np.repeat(head.c2w[:1], n, 0),
        "focal": head.focal,
        "center": _center(prepared, head),
        "near_far": np.repeat(head.near_far.mean(0, keepdims=True), n, 0),
    }
