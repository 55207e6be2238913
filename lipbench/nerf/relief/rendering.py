"""A trained relief's images: each frame's rays, where they run and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lipbench.core.errors import UsageError
from lipbench.core.precision import tensor_cores
from lipbench.faces.raster import Camera
from lipbench.media.held import room
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.field import ReliefField
from lipbench.nerf.relief.intervals import behind_lips, bounds, settled
from lipbench.nerf.relief.mesh import HeadMesh, MeshView, Motions
from lipbench.nerf.relief.registration import registered
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.surface import SKIN, Relief
from lipbench.nerf.training.codes import without
from lipbench.nerf.training.trained import FrameRender, Where, enlarged, shrunk

if TYPE_CHECKING:
    from lipbench.nerf.relief.trained import TrainedRelief

REACH = 2  # px about mask and mesh that are rendered
BESIDE = 16  # px about the wanted ones in which the mesh is looked at: it is extended beside its outline
INNER_LIPS, PARTING = slice(60, 68), 0.06  # landmarks, and what of their width lies about where lips part
BLOCK = {"cpu": 8192}  # rays at once: what lies between two loops nearly stays in a core's cache


def check_frames(rows: NDArray[np.int64], expression: NDArray[np.float64], length: int, count: int) -> None:
    """Refuse frames that cannot be rendered.

    Args:
        rows: (N,) of the scene.
        expression: (N, length).
        length: of the expressions.
        count: frames of the scene.

    Raises:
        UsageError: lengths that do not agree, frames that the scene has not.
    """
    if expression.shape != (len(rows), length):
        raise UsageError(
            f"cannot render {len(rows)} frames from expressions {expression.shape}",
            f"this field takes ({len(rows)}, {length})",
            "one row per output frame",
        )
    if len(rows) and (rows.min() < 0 or rows.max() >= count):
        raise UsageError(
            f"cannot render frame {rows.max()}", f"the scene has {count}", "map the dub to the clip's frames"
        )


def render_frames(
    model: TrainedRelief, scene: ReliefScene, expressions: ArrayLike, index: ArrayLike, where: Where | None = None
) -> Iterator[FrameRender]:
    """The head under new expressions, one frame at a time, at the scene's full resolution.

    Args:
        model: trained on this clip.
        scene: gives cameras, masks and the morphable model.
        expressions: (N, K).
        index: (N,) whose pose and code each output frame takes.
        where: row of the output -> (H, W) bool, the pixels that are wanted; all when None.

    Raises:
        UsageError: lengths that do not agree.
    """
    rows, expression = np.asarray(index, np.int64), np.asarray(expressions, np.float64)
    check_frames(rows, expression, model.field.config.condition, len(scene))
    h, w = scene.scene.size
    small = scene.resized(model.scale)
    mesh, codes = HeadMesh(scene.model, scene.identity, model.rest), model.latent(rows)
    told = torch.from_numpy(without(expression, model.removed_direction)).to(codes.device)
    code = torch.cat([model.field.told(told), codes], 1)
    relief, motions = model.field.relief, Motions(mesh, expression)
    poses = tuple(torch.from_numpy(x[rows]).to(codes.device) for x in (small.rotation, small.translation))
    seen_from, slips = model.field.seen_from(*poses), model.slip(rows)
    for k, t in enumerate(rows):
        warp = model.warp([t])[0]
        wanted = None if where is None else shrunk(where(k), small.scene.size)
        with tensor_cores(code.device):
            one = slice(k, k + 1)
            shown = render_one(
                model.field,
                relief,
                mesh,
                small,
                int(t),
                motions[k],
                code[one],
                warp,
                slips[one],
                wanted,
                seen_from[one],
            )
        if model.scale < 1.0:
            image, box = enlarged(np.concatenate([shown.rgb, shown.alpha[..., None]], 2), shown.box, h, w)
            shown = FrameRender(image[..., :3], image[..., 3], box)
        yield shown


def views_of(
    seen: Iterable[MeshView],
    relief: Relief,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
    warps: NDArray[np.float32],
    behind: bool,
    device: torch.device | str = "cpu",
) -> Views:
    """Cameras and maps of frames for `ReliefField.render`.

    `seen` is looked at frame by frame: what pixels see of a whole clip would take as much memory as the maps. `warps`
    are their displacements (F, h, w, 2); of one cell where frames are not put in their place.
    """
    in_place = warps[0].size > 2
    size = len(rotation), camera.height, camera.width
    jaw = np.zeros((len(rotation), 3, 4))
    maps = room((*size, 5), np.float32)  # a ray looks at all of its pixel's: they lie side by side
    shift, near, far = maps[..., :3], maps[..., 3], maps[..., 4]
    for k, (view, warp, turn, move) in enumerate(zip(seen, warps, rotation, translation, strict=True)):
        seen_from = turn, move, camera
        deep, teeth = behind_lips(relief, view, *seen_from) if behind else (np.zeros_like(view.hit), view.depth)
        if in_place:
            view = settled(relief, view, *seen_from)
        view.depth[deep], view.shift[deep] = teeth[deep], 0.0
        if in_place:
            view = registered(view, warp, relief, *seen_from)
        shift[k], (near[k], far[k]) = view.shift, bounds(relief, view, *seen_from)
        near[k][deep], far[k][deep], jaw[k] = view.depth[deep], view.depth[deep], view.jaw
    cx, cy = camera.center
    turns, moves, shifts, nears, fars, jaws = (
        torch.from_numpy(a).to(device) for a in (rotation, translation, shift, near, far, jaw)
    )
    front = SKIN[1] if in_place else 0.0
    return Views(float(camera.focal), (float(cx), float(cy)), turns, moves, shifts, nears, fars, front, jaws)


@torch.no_grad()
def render_one(
    field: ReliefField,
    relief: Relief,
    mesh: HeadMesh,
    scene: ReliefScene,
    t: int,
    moved: NDArray[np.float64],
    code: Tensor,
    warp: NDArray[np.float32],
    slip: Tensor,
    wanted: NDArray[np.bool_] | None = None,
    seen_from: Tensor | None = None,
) -> FrameRender:
    """Frame t's camera and displacement, how far an expression moves the mesh, (N, 3) dm, and what the network is told
    of frame and expression, (1, D + L), and of where the frame is seen from, (1, 3), if that is known already.

    Where the lips part four rays a pixel: the mesh's motion jumps there from one pixel to the next. Of the frame's
    pixels (H, W) only those that are wanted; all when None.
    """
    h, w = scene.scene.size
    around = 0, 0, w, h
    if wanted is None:
        wanted = np.ones((h, w), np.bool_)
    else:
        x0, y0, x1, y1 = _box(wanted)
        around = max(0, x0 - BESIDE), max(0, y0 - BESIDE), min(w, x1 + BESIDE), min(h, y1 + BESIDE)
    head, pose = scene.scene.head[t], (scene.rotation[t], scene.translation[t])
    points = mesh.placed(moved, *pose)
    lips = _lips(scene.camera, points[mesh.mark_rows])
    if seen_from is None:
        seen_from = field.seen_from(*(torch.from_numpy(x[None]).to(code.device) for x in pose))
    told = code, field.network.biases(code, seen_from), slip
    image, near = np.zeros((h, w, 4), np.float32), np.zeros((h, w), np.bool_)
    wide, window = (np.s_[y0:y1, x0:x1] for x0, y0, x1, y1 in (around, lips))
    once = wanted.copy()
    once[window] = False
    camera = _part(scene.camera, around)
    image[wide], near[wide] = _seen(
        field, relief, mesh, pose, camera, head[wide], points, moved, told, warp, once[wide]
    )
    inside, four = (mask[window].repeat(2, 0).repeat(2, 1) for mask in (head, wanted))
    finer = _part(scene.camera, lips, 2)
    mouth, _ = _seen(field, relief, mesh, pose, finer, inside, points, moved, told, warp, four)
    image[window] = (mouth[::2, ::2] + mouth[::2, 1::2] + mouth[1::2, ::2] + mouth[1::2, 1::2]) / 4
    return FrameRender(image[..., :3], image[..., 3], _box(near))


def _part(camera: Camera, box: tuple[int, int, int, int], finer: int = 1) -> Camera:
    """What a camera sees in a box x0, y0, x1, y1 px of its image, with `finer` times as many pixels a side."""
    (cx, cy), (x0, y0, x1, y1) = camera.center, box
    return Camera(finer * camera.focal, finer * (x1 - x0), finer * (y1 - y0), finer * (cx - x0), finer * (cy - y0))


def _lips(camera: Camera, marks: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 px about the edges of lips that may part, of the landmarks (68, 3) in camera space."""
    edges, size = camera.project(marks[INNER_LIPS]), (camera.width, camera.height)
    reach = PARTING * float(np.ptp(edges[:, 0])) + 1
    low = (max(0, min(int(x), n - 1)) for x, n in zip(edges.min(0) - reach, size, strict=True))
    high = (max(1, min(int(x) + 1, n)) for x, n in zip(edges.max(0) + reach, size, strict=True))
    (x0, y0), (x1, y1) = low, high
    return x0, y0, x1, y1


def _seen(
    field: ReliefField,
    relief: Relief,
    mesh: HeadMesh,
    pose: tuple[NDArray[np.float64], NDArray[np.float64]],
    camera: Camera,
    head: NDArray[np.bool_],
    points: NDArray[np.float64],
    moved: NDArray[np.float64],
    told: tuple[Tensor, tuple[Tensor, Tensor], Tensor],
    warp: NDArray[np.float32],
    wanted: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(H, W, 4) premultiplied color and opacity that a camera sees of the head in a pose, 0 where they are not wanted,
    and where the head may be. `told`: what the network is told, its biases for it, and the frame's `slip`."""
    import cv2

    (rotation, translation), (code, biases, slip) = pose, told
    view = mesh.view_of(points, moved, float(-translation[2]), camera)
    placed = rotation[None], translation[None], camera, warp[None]
    views = views_of([view], relief, *placed, field.behind is not None, code.device)._replace(slip=slip)
    near = cv2.dilate((head | view.hit).astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)) > 0
    at = np.nonzero(near & wanted)
    out, frame = np.zeros((*near.shape, 4), np.float32), torch.zeros(1, dtype=torch.int64, device=code.device)
    blocks = max(1, -(-len(at[0]) // BLOCK.get(code.device.type, 1 << 18)))
    for part in zip(*(np.array_split(x, blocks) for x in at), strict=True):
        if not len(part[0]):
            continue
        row, column = (torch.from_numpy(x.astype(np.float32) + 0.5)[None].to(code.device) for x in part)
        out[part] = field.render(views, frame, column, row, code, biases=biases)[0].cpu().numpy()
    return out, near


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 px about a mask; one pixel where it is empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
