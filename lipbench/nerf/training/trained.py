"""A trained field with the codes of its frames: what rendering needs, as one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lipbench.core.errors import UsageError
from lipbench.core.precision import tensor_cores
from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import reading
from lipbench.nerf.compositing import Composite
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.model import MISSED, HeadField
from lipbench.nerf.rays import Rays
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.codes import without

SCHEMA = 2
#: Samples whose networks are computed at once on a GPU: below 10 GB for AD-NeRF's networks, 6 GB for the paper's, under
#: any size of the image.
SAMPLES = 1 << 21
#: Rays at once on a CPU: its caches hold no more of a network's layers; tri-planes go through them in blocks of theirs.
RAYS = {"mlp": 2048, "triplane": 1 << 14}
VISIBLE = 1e-3  # rays on which the grid sees less than this opacity show the background alone


#: Number of an output frame -> (H, W) bool, which pixels of the scene are wanted.
Where = Callable[[int], NDArray[np.bool_]]


class FrameRender(NamedTuple):
    """A rendered frame; over an image it is rgb + (1 - alpha) * image.

    Attributes:
        rgb: (H, W, 3) float32, the head's color times its opacity (premultiplied).
        alpha: (H, W) float32 opacity.
        box: x0, y0, x1, y1 px outside of which both are 0.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32]
    box: tuple[int, int, int, int]


@dataclass
class TrainedField:
    """A trained field with the codes of its frames.

    Attributes:
        field: the networks.
        latents: (T, L) codes of the training frames.
        frames: (T,) numbers of the training frames in the scene that the field was trained on.
        scale: resolution at which it is rendered, relative to the scene's full resolution.
        facts: how it was trained.
        removed_direction: (C,) direction that is taken out of the conditions (`codes.without`), None when nothing is.
    """

    field: HeadField
    latents: Tensor
    frames: NDArray[np.int64]
    scale: float
    facts: Mapping[str, Any]
    removed_direction: NDArray[np.float32] | None = None

    def latent(self, index: ArrayLike) -> NDArray[np.float32]:
        """(N,) scene frames -> (N, L) codes; a frame that was kept from training takes the nearest one's."""
        wanted = np.asarray(index, np.int64)
        nearest = np.abs(self.frames[None] - wanted[:, None]).argmin(1)
        out: NDArray[np.float32] = self.latents.detach().cpu().numpy()[nearest]
        return out

    def render(
        self, scene: Scene, conditions: ArrayLike, index: ArrayLike, where: Where | None = None
    ) -> Iterator[FrameRender]:
        """The head under new conditions with the codes of the frames `index`, see `render_frames`."""
        return render_frames(self, scene, conditions, None, index, where=where)

    def save(self, path: str | Path) -> Path:
        """Write networks and codes; returns the path."""
        torch.save(
            {
                "schema": SCHEMA,
                "config": self.field.config.to_dict(),
                "field": self.field.state_dict(),
                "latents": self.latents.detach().cpu(),
                "frames": self.frames.tolist(),
                "scale": self.scale,
                "facts": dict(self.facts),
                "untold": None if self.removed_direction is None else self.removed_direction.tolist(),
            },
            path,
        )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> TrainedField:
        """Read what `save` wrote.

        Raises:
            WeightsError: not such a file.
        """
        with reading(path, "train it again") as path:
            held = torch_file.read(path, "train it again")
            if held["schema"] != SCHEMA:
                raise ValueError(f"its schema is {held['schema']}, this lipbench reads {SCHEMA}")
            field = HeadField(FieldConfig.from_dict(held["config"]), held["field"]["bounds"])
            field.load_state_dict(held["field"])
        frames = np.asarray(held["frames"], np.int64)
        removed_direction = None if held["untold"] is None else np.asarray(held["untold"], np.float32)
        return cls(
            field.to(device).eval(), held["latents"].to(device), frames, held["scale"], held["facts"], removed_direction
        )


def render_frames(
    model: TrainedField,
    scene: Scene,
    conditions: ArrayLike,
    latents: ArrayLike | None,
    index: ArrayLike,
    *,
    scale: float | None = None,
    where: Where | None = None,
) -> Iterator[FrameRender]:
    """The head under new expressions, one frame at a time, at the scene's full resolution.

    Args:
        scene: gives the cameras.
        conditions: (N, C) expressions.
        latents: (N, L), or None for the codes of the frames `index`.
        index: (N,) whose pose each output frame takes.
        scale: resolution of the rays relative to the scene's; the model's own when None. The result is brought to full
            size by cubic interpolation.
        where: the pixels that are wanted; all when None.

    Raises:
        UsageError: lengths that do not agree.
    """
    rows = np.asarray(index, np.int64)
    codes = model.latent(rows) if latents is None else np.asarray(latents, np.float32)
    expression = np.asarray(conditions, np.float32)
    c = model.field.config
    if expression.shape != (len(rows), c.condition) or codes.shape != (len(rows), c.latent):
        raise UsageError(
            f"cannot render {len(rows)} frames from conditions {expression.shape} and latents {codes.shape}",
            f"this field takes ({len(rows)}, {c.condition}) and ({len(rows)}, {c.latent})",
            "one row per output frame",
        )
    if len(rows) and (rows.min() < 0 or rows.max() >= len(scene)):
        raise UsageError(
            f"cannot render frame {rows.max()}", f"the scene has {len(scene)}", "map the dub to the clip's frames"
        )
    expression = without(expression, model.removed_direction)
    device = model.latents.device
    code = torch.from_numpy(np.concatenate([expression, codes], 1)).to(device)
    for k, t in enumerate(rows):
        wanted = None if where is None else where(k)
        with tensor_cores(device):
            at = model.scale if scale is None else scale
            shown = render_one(model.field, scene, int(t), code[k : k + 1], at, wanted)
        yield shown


@torch.no_grad()
def render_one(
    field: HeadField,
    scene: Scene,
    t: int,
    condition: Tensor,
    scale: float = 1.0,
    wanted: NDArray[np.bool_] | None = None,
) -> FrameRender:
    """Frame t's camera, one condition (1, C + L); of the scene's pixels (H, W) those that are wanted, all when None."""
    device = condition.device
    full_h, full_w = scene.size
    h, w = max(8, round(full_h * scale)), max(8, round(full_w * scale))
    s = w / full_w
    focal = scene.focal * s
    center = (scene.center[0] * s - 0.5 * (1 - s), scene.center[1] * s - 0.5 * (1 - s))
    c2w = torch.from_numpy(scene.c2w[t : t + 1]).to(device)
    x0, y0, x1, y1 = _screen_box(scene, t, focal, center, h, w)
    asked = np.zeros((h, w), np.bool_)
    asked[y0:y1, x0:x1] = True if wanted is None else shrunk(wanted, (h, w))[y0:y1, x0:x1]
    pixels = torch.from_numpy(np.flatnonzero(asked)).to(device)
    near_far = torch.from_numpy(scene.near_far[t : t + 1]).to(device)
    rays = field.rays(c2w, (pixels // w)[None].float(), (pixels % w)[None].float(), focal, center, near_far)
    hit = torch.nonzero(rays.far[0] > rays.near[0] + 2 * MISSED)[:, 0]
    out = torch.zeros(h * w, 4, device=device)
    for part in torch.split(hit, rays_at_once(field.config, device)):
        kept, fine = _shown(field, _chosen(rays, part), condition)
        assert fine.foreground is not None
        out[pixels[part[kept]]] = torch.cat([fine.foreground[0], 1.0 - fine.transmittance[0][:, None]], 1)
    image = out.view(h, w, 4).cpu().numpy()
    box = (x0, y0, x1, y1)
    if (h, w) != (full_h, full_w):
        image, box = enlarged(image, box, full_h, full_w)
    return FrameRender(image[..., :3], image[..., 3], box)


def rays_at_once(config: FieldConfig, device: torch.device) -> int:
    """How many rays are rendered at once, so that memory does not grow with the image."""
    if device.type == "cpu":
        return RAYS[config.field]
    return max(1, SAMPLES // (config.coarse + config.fine))


def _shown(field: HeadField, rays: Rays, condition: Tensor) -> tuple[Tensor, Composite]:
    """Rays that may show the head (all, or those on which the grid sees something), and what they show."""
    if field.config.proposal != "grid":
        fine = field.render(rays, torch.zeros_like(rays.direction), condition).fine
        return torch.arange(rays.near.shape[1], device=rays.near.device), fine
    depths, seen = field.place(rays)
    kept = torch.nonzero(seen[0] > VISIBLE)[:, 0]
    some = _chosen(rays, kept)
    return kept, field.shade(some, depths[:, kept], torch.zeros_like(some.direction), condition).fine


def _chosen(rays: Rays, rows: Tensor) -> Rays:
    return rays._replace(direction=rays.direction[:, rows], near=rays.near[:, rows], far=rays.far[:, rows])


def _screen_box(scene: Scene, t: int, focal: float, center: tuple[float, float], h: int, w: int) -> tuple[int, ...]:
    """x0, y0, x1, y1 of the projected bounds; at least one pixel."""
    corners = np.stack(np.meshgrid(*scene.bounds.T.astype(np.float64), indexing="ij"), -1).reshape(-1, 3)
    local = (corners - scene.c2w[t, :, 3]) @ scene.c2w[t, :, :3]
    depth = np.maximum(-local[:, 2], 1e-2)
    x = focal * local[:, 0] / depth + center[0]
    y = -focal * local[:, 1] / depth + center[1]
    x0, y0 = int(np.clip(np.floor(x.min()), 0, w - 1)), int(np.clip(np.floor(y.min()), 0, h - 1))
    return x0, y0, int(np.clip(np.ceil(x.max()) + 1, x0 + 1, w)), int(np.clip(np.ceil(y.max()) + 1, y0 + 1, h))


def shrunk(wanted: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a smaller image (h, w) that the wanted ones (H, W) of the full size are made of."""
    import cv2

    if wanted.shape == size:
        return wanted
    near = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5), np.uint8)) * 255  # cubic interpolation reaches 2 px
    small = cv2.resize(near, size[::-1], interpolation=cv2.INTER_AREA)
    found: NDArray[np.bool_] = np.asarray(cv2.dilate(small, np.ones((3, 3), np.uint8))) > 0
    return found


def enlarged(
    image: NDArray[np.float32], box: tuple[int, ...], h: int, w: int
) -> tuple[NDArray[np.float32], tuple[int, int, int, int]]:
    """A premultiplied image (h, w, 4) and its box at another size (h, w)."""
    import cv2

    big = np.asarray(cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)
    np.clip(big, 0.0, 1.0, out=big)
    for c in range(3):  # cubic overshoot: no color brighter than its opacity allows
        np.minimum(big[..., c], big[..., 3], out=big[..., c])
    sx, sy = w / image.shape[1], h / image.shape[0]
    x0, y0 = max(0, int((box[0] - 2) * sx)), max(0, int((box[1] - 2) * sy))
    x1, y1 = min(w, int((box[2] + 2) * sx) + 1), min(h, int((box[3] + 2) * sy) + 1)
    return big, (x0, y0, x1, y1)
