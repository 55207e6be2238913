"""The relief's radiance field F(e, v, x, d) -> (c, sigma): two feature grids and a small network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lipbench.nerf.relief import ops
from lipbench.nerf.relief.config import ReliefConfig
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.grid import FeatureGrid
from lipbench.nerf.relief.looks import add_looks
from lipbench.nerf.relief.mouth import Mouth, look
from lipbench.nerf.relief.perceptron import Perceptron
from lipbench.nerf.relief.surface import Relief
from lipbench.nerf.training.codes import without

#: Raw density per unit of the fine grid's fourth channel: one rate of learning suits colors and density then.
DENSITY = 3.0
COARSE_START = 0.1  # standard deviation of the coarse grid at the start
DIRECTION_SCALE = 10.0  # of the camera's direction, which hardly turns
#: Raw densities under which a sample is left out, and optical depths at which a ray ends: (training, rendering). Only
#: the nearest texels of the fine grid tell these depths: on one thin surface a sample may seem to be enough and be half
#: transparent. There rendering ends rays where training did, which has seen to it.
THRESHOLD, OPAQUE = (-4.0, -3.0), (6.0, 4.5)


class ReliefField(nn.Module):
    """The field of one head; what it needs to know of the clip's expressions and cameras is in it.

    A sample is volume-rendered: where it lies in the relief (`surface.Relief`) decides its features. Those of the fine
    grid are the logits of a color and a raw density, to which the network, told the expression e, the frame's code v
    and the camera's direction d, adds what they change. About the eyes the code's first numbers mix a few looks, too:
    lids and gaze are finer than what a small network can tell from a code. The next ones mix appearances of all
    but lips and chin: light, sides, strands of hair.

    Args:
        config: what to build.
        relief: where the field is.
        fine: (n, m) texels of the fine grid.
        coarse: (n, m) texels of the coarse grid.
        eyes: (n, m) texels of the looks of each eye.
        appearances: (n, m, K) texels and number of the appearances.
        mouth: (n, m) texels of the looks of lips and chin.
    """

    surfaces: Tensor
    place: Tensor
    expression_mean: Tensor
    expression_axes: Tensor
    direction_mean: Tensor
    density: Tensor
    window: Tensor
    eye_boxes: Tensor
    mouth_box: Tensor

    def __init__(
        self,
        config: ReliefConfig,
        relief: Relief,
        fine: tuple[int, int],
        coarse: tuple[int, int],
        eyes: tuple[int, int],
        appearances: tuple[int, int, int] = (0, 0, 0),
        mouth: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.config = config
        self.fine = FeatureGrid(torch.zeros(config.layers, *fine, 4))
        self.coarse = FeatureGrid(COARSE_START * torch.randn(config.layers, *coarse, config.channels))
        self.network = Perceptron(4 + config.channels, config.directions + config.codes, 3, config.width, 4)
        self.looks = min(config.looks, config.latent)
        self.eyes = FeatureGrid(torch.zeros(2, 2 * eyes[0], eyes[1], 3 * self.looks)) if self.looks else None
        n, m, k = appearances
        self.appearances = FeatureGrid(torch.zeros(1, n, m, 4 * k)) if k else None
        mouths = (config.layers, *mouth, 4 * config.directions)
        self.mouth = FeatureGrid(torch.zeros(mouths)) if config.mouth_looks and min(mouth) else None
        self.behind = Mouth(relief, config.directions, config.behind) if config.behind else None
        self.register_buffer("window", torch.ones(n, m))
        self.register_buffer("eye_boxes", torch.tensor(relief.eyes, dtype=torch.float32))
        self.register_buffer("mouth_box", torch.tensor(relief.mouth, dtype=torch.float32))
        self.register_buffer("surfaces", torch.from_numpy(np.stack([relief.inner, relief.outer, relief.middle])))
        self.register_buffer("place", torch.tensor(relief.place, dtype=torch.float64))
        self.register_buffer("expression_mean", torch.zeros(config.condition, dtype=torch.float64))
        self.register_buffer("expression_axes", torch.zeros(config.condition, config.directions, dtype=torch.float64))
        self.register_buffer("direction_mean", torch.zeros(3))
        self.register_buffer("density", self.fine.values[..., 3] * DENSITY)

    @property
    def relief(self) -> Relief:
        """Where the field is."""
        left, top, width, height = self.place.tolist()
        inner, outer, middle = self.surfaces.cpu().numpy()
        boxes, mouth = self.eye_boxes.tolist(), self.mouth_box.tolist()
        eyes = tuple(boxes[0]), tuple(boxes[1])
        return Relief((left, top, width, height), middle, inner, outer, eyes, tuple(mouth))

    def tell(self, expression: NDArray[np.floating], removed: ArrayLike | None, views: Views) -> None:
        """Set how expressions and cameras are told, from those of the training.

        Args:
            expression: (T, C).
            removed: (C,) direction that they are told without, see `codes.lid_direction`.
            views: of the training.
        """
        x = without(expression, removed).astype(np.float64)
        mean = x.mean(0)
        _, size, axes = np.linalg.svd(x - mean, full_matrices=False)
        spread = np.maximum(size, max(1e-3 * float(size[0]), 1e-9)) / np.sqrt(len(x))
        count = min(self.config.directions, len(axes))
        whitened = torch.from_numpy((axes[:count] / spread[:count, None]).T)
        self.expression_axes[:, :count] = whitened
        self.expression_mean.copy_(torch.from_numpy(mean))
        self.direction_mean.copy_(_to_camera(views.rotation, views.translation).mean(0))

    def told(self, expression: Tensor) -> Tensor:
        """(N, C) expressions, less the removed direction -> (N, directions)."""
        return ((expression.double() - self.expression_mean) @ self.expression_axes).float()

    def seen_from(self, rotation: Tensor, translation: Tensor) -> Tensor:
        """(F, 3) direction from the head to the camera of each pose, less the mean one of the training."""
        return (_to_camera(rotation, translation) - self.direction_mean) * DIRECTION_SCALE

    def refresh(self) -> None:
        """Look up again where the fine grid holds something."""
        torch.mul(self.fine.values[..., 3], DENSITY, out=self.density)

    def render(
        self,
        views: Views,
        frames: Tensor,
        columns: Tensor,
        rows: Tensor,
        code: Tensor,
        jitter: Tensor | None = None,
        keep: Tensor | None = None,
        biases: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """What rays see: (G, R, 4) premultiplied color and opacity.

        Args:
            views: cameras and maps.
            frames: (G,) row of `views` of each group of rays.
            columns: (G, R) px.
            rows: (G, R) px.
            code: (G, directions + codes).
            jitter: (G, R) in [0, 1), where in its bin each sample of a ray lies; the middle when None (rendering).
            keep: (G, R) bool, rays that leave no sample out; none when None.
            biases: what the network is told of the groups (`Perceptron.biases`), where they are seen more than once.
        """
        each = columns.shape[1]
        training = jitter is not None
        opaque = OPAQUE[not training and not views.front]
        pruning = ops.Pruning(self.density, THRESHOLD[not training], opaque)
        samples = ops.march(
            views,
            frames.repeat_interleave(each),
            columns.reshape(-1),
            rows.reshape(-1),
            torch.full_like(columns, 0.5).view(-1) if jitter is None else jitter.reshape(-1),
            torch.zeros(columns.numel(), dtype=torch.bool, device=columns.device) if keep is None else keep.reshape(-1),
            self.surfaces,
            self.place,
            pruning,
            self.config.opacity,
            self.config.samples,
        )
        starts = samples.starts[::each].contiguous()
        counts = starts.diff().tolist()
        features = ops.lookup((self.fine, self.coarse), samples.points)
        if biases is None:
            biases = self.network.biases(code, self.seen_from(views.rotation, views.translation)[frames])
        scale = torch.tensor([1.0, 1.0, 1.0, DENSITY], device=features.device)
        logits = self.network.told(features, counts, *biases, scale)
        if self.eyes is not None:
            logits = self._with_eyes(logits, samples.points, starts, code)
        if self.mouth is not None:
            logits = self._with_mouth(logits, samples.points, starts, code)
        if self.appearances is not None:
            first = self.config.directions + self.config.latent
            mixes = code[:, first : first + self.appearances.channels // 4]
            logits = logits + ops.mix(mixes, self.appearances, self.window, samples.points, starts)
        shown = ops.composite(logits, samples, self.config.opacity).view(*columns.shape, 4)
        return shown if self.behind is None else self.with_mouth_inside(shown, views, frames, columns, rows, code)

    def with_mouth_inside(
        self, shown: Tensor, views: Views, frames: Tensor, columns: Tensor, rows: Tensor, code: Tensor
    ) -> Tensor:
        """What rays see (G, R, 4), with what lies behind the lips where they pass between them; see `render`."""
        assert self.behind is not None
        seen = look(views, frames, columns, rows)
        if not len(seen.places):
            return shown
        told = code[:, : self.config.directions], self.seen_from(views.rotation, views.translation)[frames]
        color = self.behind(seen, *told)
        return shown.index_put((seen.groups, seen.rays), torch.nn.functional.pad(color, (0, 1), value=1.0))

    def _with_eyes(self, logits: Tensor, points: Tensor, starts: Tensor, code: Tensor) -> Tensor:
        """(M, 4) logits with what the frames' codes mix about the eyes."""
        assert self.eyes is not None
        mixes = code[:, self.config.directions :][:, : self.looks]
        return add_looks(logits, mixes, self.eyes, self.eye_boxes.tolist(), True, points, starts)

    def _with_mouth(self, logits: Tensor, points: Tensor, starts: Tensor, code: Tensor) -> Tensor:
        """(M, 4) logits with what the expressions mix of the looks of lips and chin."""
        assert self.mouth is not None
        mixes, boxes = code[:, : self.config.directions], [self.mouth_box.tolist()]
        return add_looks(logits, mixes, self.mouth, boxes, False, points, starts)


def _to_camera(rotation: Tensor, translation: Tensor) -> Tensor:
    """(F, 3) unit vectors from the head's origin to the camera, in head space."""
    away = -torch.einsum("fi,fij->fj", translation, rotation)
    return (away / away.norm(dim=1, keepdim=True)).float()
