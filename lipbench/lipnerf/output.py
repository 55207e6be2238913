"""From a trained field to a dub's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Plate
from lipbench.lipnerf.composite import CompositeOptions, Compositor, Render
from lipbench.lipnerf.composite.change import lower_face, transfer_change
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.trained import TrainedField, render_frames

SAY_EVERY = 50


def composited(
    prepared: PreparedClip,
    frames: NDArray[np.uint8],
    plate: Plate,
    trained: TrainedField,
    scene: Scene,
    driven: NDArray[np.floating],
    index: NDArray[np.int64],
    options: CompositeOptions,
    log: Callable[[str], None] = lambda _: None,
) -> Iterator[NDArray[np.uint8]]:
    """The dub's frames (H, W, 3): rendered heads over the source's torso and background.

    Args:
        prepared: of the clip.
        frames: (T, H, W, 3) of the clip.
        plate: of the same frames.
        trained: the field.
        scene: its cameras (of the crop).
        driven: (N, C) conditions.
        index: (N,) source frame under each output frame: pose, torso, latent code.
    """
    compositor = Compositor(frames, prepared.parsing, plate, options)
    return iter(compositor.video(_renders(prepared, trained, scene, driven, index, log)))


def changed(
    prepared: PreparedClip,
    frames: NDArray[np.uint8],
    plate: Plate,
    trained: TrainedField,
    scene: Scene,
    driven: NDArray[np.floating],
    own: NDArray[np.floating],
    expression: NDArray[np.floating],
    index: NDArray[np.int64],
    options: CompositeOptions,
    log: Callable[[str], None] = lambda _: None,
) -> Iterator[NDArray[np.uint8]]:
    """The source's frames (H, W, 3) with what another condition changes around the mouth, see `composite.change`.

    Args:
        own: (T, C) conditions of the source's frames.
        expression: (N, K), how far the jaw may reach in output frames.
        The others: see `composited`.
    """
    compositor, model = Compositor(frames, prepared.parsing, plate, options), prepared.fit.load_model()
    drawn = compositor.video(_renders(prepared, trained, scene, driven, index, log))
    kept = compositor.video(_renders(prepared, trained, scene, own[index], index))
    for n, (picture, other) in enumerate(zip(drawn, kept, strict=True)):
        s = int(index[n])
        yield transfer_change(
            frames[s], picture, other, lower_face(prepared.fit, model, s, expression[n], picture.shape[:2])
        )


def _renders(
    prepared: PreparedClip,
    trained: TrainedField,
    scene: Scene,
    conditions: NDArray[np.floating],
    index: NDArray[np.int64],
    log: Callable[[str], None] = lambda _: None,
) -> Iterator[Render]:
    x, y = prepared.crop[:2]
    for n, frame in enumerate(render_frames(trained, scene, conditions, None, index)):
        if n % SAY_EVERY == 0:
            log(f"rendered {n} of {len(index)} frames")
        x0, y0, x1, y1 = frame.box
        part = np.s_[y0:y1, x0:x1]
        yield Render(int(index[n]), frame.rgb[part], frame.alpha[part], (x0 + x, y0 + y, x1 + x, y1 + y))
