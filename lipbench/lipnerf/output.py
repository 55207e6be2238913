"""From a trained field to a dub's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.faces.parsing import Label, Plate
from lipbench.faces.parsing.shot_plates import ShotPlates
from lipbench.lipnerf.composite import CompositeOptions, Compositor, Render
from lipbench.lipnerf.composite.change import lower_face, transfer_change
from lipbench.lipnerf.composite.moved import Moved, moved_region, over_source, solid
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.lipnerf.residual import Corrector, Residuals, poses_of
from lipbench.nerf.relief.mesh import Motions
from lipbench.nerf.training.trained import FrameRender, Where

SAY_EVERY = 50


class Trained(Protocol):
    """A trained field of any kind."""

    def render(
        self, scene: Any, conditions: ArrayLike, index: ArrayLike, where: Where | None = None
    ) -> Iterator[FrameRender]:
        """The head under (N, C) conditions, in the poses and with the codes of the frames `index`, where wanted."""


@dataclass(frozen=True)
class DubRenderer:
    """A trained field and the clip that its renderings are put back into.

    Attributes:
        prepared: of the clip.
        frames: (T, H, W, 3) of the clip.
        plate: of the same frames.
        trained: the field.
        scene: what its `render` takes (of the crop).
        options: of the compositor.
        log: gets a line now and then.
        residuals: of the clip's own frames, which `moved` adds; None: it adds nothing.
    """

    prepared: PreparedClip
    frames: NDArray[np.uint8]
    plate: Plate
    trained: Trained
    scene: Any
    options: CompositeOptions
    log: Callable[[str], None] = lambda _: None
    residuals: Residuals | None = None

    def composited(self, driven: NDArray[np.floating], index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """The dub's frames (H, W, 3): rendered heads over the source's torso and background.

        Args:
            driven: (N, C) conditions.
            index: (N,) source frame under each output frame: pose, torso, latent code.
        """
        return self._video(self._renders(driven, index, self.log))

    def changed(
        self,
        driven: NDArray[np.floating],
        own: NDArray[np.floating],
        expression: NDArray[np.floating],
        index: NDArray[np.int64],
    ) -> Iterator[NDArray[np.uint8]]:
        """The source's frames (H, W, 3) with what another condition changes around the mouth, see `composite.change`.

        Args:
            driven: (N, C) conditions.
            own: (T, C) conditions of the source's frames.
            expression: (N, K), how far the jaw may reach in output frames.
            index: (N,) source frame under each output frame.
        """
        model = self.prepared.fit.load_model()
        compositors: dict[int, Compositor] = {}
        dubbed = self._video(self._renders(driven, index, self.log), compositors)
        unchanged = self._video(self._renders(own[index], index, lambda _: None), compositors)
        for n, (image, other) in enumerate(zip(dubbed, unchanged, strict=True)):
            s = int(index[n])
            face = lower_face(self.prepared.fit, model, s, expression[n], image.shape[:2])
            yield transfer_change(self.frames[s], image, other, face)

    def moved(
        self,
        driven: NDArray[np.floating],
        own: NDArray[np.floating],
        expression: NDArray[np.floating],
        index: NDArray[np.int64],
    ) -> Iterator[NDArray[np.uint8]]:
        """The source's frames (H, W, 3) with the rendered head where the dub's expression moves it, see
        `composite.moved`. Nothing else of the head is rendered.

        Args:
            driven: (N, C) conditions.
            own: (T, K) expressions of the source's frames.
            expression: (N, K) those of the output's.
            index: (N,) source frame under each output frame.
        """
        poses = poses_of(self.prepared, own)
        x0, y0, x1, y1 = self.prepared.crop
        crop = np.s_[y0:y1, x0:x1]
        regions: dict[int, Moved] = {}
        kept, changed = Motions(poses.mesh, own[index]), Motions(poses.mesh, expression)

        def region(n: int) -> Moved:
            if n not in regions:
                s = int(index[n])
                at = poses.rotation[s], poses.translation[s], poses.camera
                regions[n] = moved_region(poses.mesh, kept[n], changed[n], *at)
            return regions[n]

        drawn = self.trained.render(self.scene, driven, index, lambda n: region(n).share > 0)
        if self.residuals is not None:
            drawn = _corrected(drawn, Corrector(poses, self.residuals), changed, index)
        for n, image in enumerate(self._video(self._filled(drawn, index, region))):
            out = self.frames[int(index[n])].copy()
            moved = regions.pop(n)
            out[crop] = over_source(out[crop], image[crop], moved)
            yield out

    def _filled(
        self, drawn: Iterator[FrameRender], index: NDArray[np.int64], region: Callable[[int], Moved]
    ) -> Iterator[Render]:
        """Renders of a part of the head, the source's own head around it."""
        x0, y0, x1, y1 = self.prepared.crop
        crop = np.s_[y0:y1, x0:x1]
        for n, frame in enumerate(drawn):
            if n % SAY_EVERY == 0:
                self.log(f"rendered {n} of {len(index)} frames")
            s, there = int(index[n]), region(n).share > 0
            whole = self.prepared.parsing.labels[s][crop] == Label.HEAD
            rgb, alpha = solid(frame.rgb, frame.alpha, whole, region(n))
            filmed, head, colors = self.frames[s][crop].astype(np.float32) / 255, whole & ~there, np.zeros_like(rgb)
            for shown, mask in ((filmed, head), (rgb, there)):
                cv2.copyTo(shown, mask.view(np.uint8), colors)
            lines, columns = region(n).view
            view = x0 + columns.start, y0 + lines.start, x0 + columns.stop, y0 + lines.stop
            yield Render(s, colors, alpha * there + head, (x0, y0, x1, y1), view)

    def _video(
        self, renders: Iterator[Render], made: dict[int, Compositor] | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Composited renders, each shot for itself: what is gathered from one is not behind another.

        Args:
            made: compositors of shots that are there already.
        """
        plate, compositors = self.plate, {} if made is None else made
        if not isinstance(plate, ShotPlates):
            if 0 not in compositors:
                compositors[0] = Compositor(self.frames, self.prepared.parsing, plate, self.options)
            yield from compositors[0].video(renders)
            return
        for k, own in groupby(renders, lambda render: plate.shot_of(render.s)):
            first, end = plate.shots[k]
            if k not in compositors:
                parsing = self.prepared.parsing.take(np.arange(first, end))
                compositors[k] = Compositor(self.frames[first:end], parsing, plate.plates[k], self.options)
            yield from compositors[k].video(replace(render, s=render.s - first) for render in own)

    def _renders(
        self, conditions: NDArray[np.floating], index: NDArray[np.int64], log: Callable[[str], None]
    ) -> Iterator[Render]:
        x, y = self.prepared.crop[:2]
        for n, frame in enumerate(self.trained.render(self.scene, conditions, index)):
            if n % SAY_EVERY == 0:
                log(f"rendered {n} of {len(index)} frames")
            x0, y0, x1, y1 = frame.box
            part = np.s_[y0:y1, x0:x1]
            yield Render(int(index[n]), frame.rgb[part], frame.alpha[part], (x0 + x, y0 + y, x1 + x, y1 + y))


def _corrected(
    drawn: Iterator[FrameRender], corrector: Corrector, motions: Motions, index: NDArray[np.int64]
) -> Iterator[FrameRender]:
    """Renders with the residuals of the clip's own frames added."""
    for n, frame in enumerate(drawn):
        view, added = corrector.part(int(index[n]), motions[n])
        rgb, alpha = frame.rgb.copy(), frame.alpha[view][..., None]
        rgb[view] = np.clip(rgb[view] + alpha * added / 255, 0, alpha)
        yield frame._replace(rgb=rgb)
