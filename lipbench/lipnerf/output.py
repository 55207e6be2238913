"""From a trained field to a dub's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Plate
from lipbench.lipnerf.composite import CompositeOptions, Compositor, Render
from lipbench.lipnerf.prepared import Prepared
from lipbench.lipnerf.scene import Scene
from lipbench.lipnerf.training.model import TrainedField, render_frames

SAY_EVERY = 50


def composited(
    prepared: Prepared, frames: NDArray[np.uint8], plate: Plate, trained: TrainedField, scene: Scene,
    driven: NDArray[np.floating], index: NDArray[np.int64], options: CompositeOptions,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[NDArray[np.uint8]]:  # fmt: skip
    """The dub's frames (H, W, 3): rendered heads over the source's torso and background.

    Args:
        prepared: of the clip. frames: (T, H, W, 3) of the clip. plate: of the same frames.
        trained: the field. scene: its cameras (of the crop).
        driven: (N, C) conditions. index: (N,) source frame under each output frame: pose, torso, latent code.
    """
    x, y = prepared.crop[:2]
    compositor = Compositor(frames, prepared.parsing, plate, options)

    def renders() -> Iterator[Render]:
        for n, frame in enumerate(render_frames(trained, scene, driven, None, index)):
            if n % SAY_EVERY == 0:
                say(f"rendered {n} of {len(index)} frames")
            x0, y0, x1, y1 = frame.box
            part = np.s_[y0:y1, x0:x1]
            yield Render(int(index[n]), frame.rgb[part], frame.alpha[part], (x0 + x, y0 + y, x1 + x, y1 + y))

    return iter(compositor.video(renders()))
