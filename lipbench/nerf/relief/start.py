"""Where a relief's training begins: the mean colors of frames put back onto it, and a guess of where it is solid."""

from __future__ import annotations

import numpy as np
import torch

from lipbench.faces.raster.kernel import kernel
from lipbench.nerf.relief.field import DENSITY, ReliefField
from lipbench.nerf.relief.mesh import HeadMesh
from lipbench.nerf.relief.registration import slid
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.surface import Float32, Relief, look_at_rest

VIEWS = 25
#: Raw density at the start, over the face and elsewhere: up to the mesh, and in front of it.
INSIDE, FRONT = (2.0, 1.0), (-5.0, -1.0)
#: Raw density of texels that the masks show in fewer than half of the frames that see them, and in hardly any.
SELDOM, NEVER = -2.5, -5.0
SELDOM_SHARE, NEVER_SHARE = 0.5, 0.1


def start(
    field: ReliefField, scene: ReliefScene, mesh: HeadMesh, relief: Relief, face: Float32, warps: Float32
) -> None:
    """Set the fine grid.

    Args:
        field: on the CPU.
        scene: of the training.
        mesh: at rest.
        relief: of the field.
        face: where it is a face's, see `relief_of`.
        warps: (T, h, w, 2) dm, the frames' displacements.
    """
    import cv2

    values = field.fine.values.numpy()
    layers, n, m = values.shape[:3]

    def large(image: Float32) -> Float32:
        return np.asarray(cv2.resize(image, (m, n), interpolation=cv2.INTER_LINEAR), np.float32)

    inner, outer, middle = large(relief.inner), large(relief.outer), large(relief.middle)
    color, shown = np.zeros((layers, n, m, 3), np.float32), np.zeros((layers, n, m), np.float32)
    seen = np.zeros((layers, n, m), np.float32)
    rest = look_at_rest(mesh, relief.place, relief.middle.shape)
    camera = scene.camera
    left, top, wide, high = relief.place
    x, y = left + (np.arange(m) + 0.5) / m * wide, top - (np.arange(n) + 0.5) / n * high
    places = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
    for t in np.unique(np.linspace(0, len(scene) - 1, VIEWS).round().astype(int)):
        moved = large(rest.attribute(mesh.moved(scene.condition[t])))
        moved += slid(places, large(warps[t]), relief)
        unproject(
            scene.filmed[t],
            scene.scene.head[t],
            scene.rotation[t],
            scene.translation[t],
            float(camera.focal),
            *map(float, camera.center),
            np.asarray(relief.place),
            moved,
            inner,
            outer,
            color,
            shown,
            seen,
        )
    mean = color / np.maximum(shown, 1)[..., None] / 255
    overall = color.sum((0, 1, 2)) / max(float(shown.sum()), 1.0) / 255
    mean = np.where(shown[..., None] > 0, mean, overall).clip(0.02, 0.98)
    values[..., :3] = np.log(mean / (1 - mean))
    share = shown / np.maximum(seen, 1)
    height = np.linspace(0, 1, layers)[:, None, None]
    surface = (middle - inner) / (outer - inner)
    thin = large(face) > 0.5
    solid = height <= np.maximum(surface, 0.45) + 0.01
    often = np.where(solid, np.where(thin, *INSIDE), np.where(thin, *FRONT))
    raw = np.where(share > SELDOM_SHARE, often, np.where(share > NEVER_SHARE, SELDOM, NEVER))
    values[..., 3] = raw / DENSITY
    with torch.no_grad():
        field.refresh()


@kernel
def unproject(frame, head, rotation, translation, focal, cx, cy, place, moved, inner, outer, color, shown, seen):  # type: ignore[no-untyped-def]
    """Add one frame's colors to the texels that lie in its image.

    Args:
        frame: (H, W, 3) uint8.
        head: (H, W) bool.
        rotation: (3, 3) head to camera.
        translation: (3,) dm.
        focal: px.
        cx: px.
        cy: px.
        place: see `Relief`.
        moved: (n, m, 3) dm, how far the expression moves the mesh there.
        inner: (n, m) dm.
        outer: (n, m) dm.
        color: (L, n, m, 3) takes the colors of texels inside the head.
        shown: (L, n, m) takes how many.
        seen: (L, n, m) takes how often a texel lies in the image.
    """
    layers, n, m = shown.shape
    height, width = head.shape
    for k in range(layers):
        for v in range(n):
            for u in range(m):
                x = place[0] + (u + 0.5) / m * place[2] + moved[v, u, 0]
                y = place[1] - (v + 0.5) / n * place[3] + moved[v, u, 1]
                z = inner[v, u] + (outer[v, u] - inner[v, u]) * k / (layers - 1) + moved[v, u, 2]
                a = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z + translation[0]
                b = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z + translation[1]
                c = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z + translation[2]
                column, row = -focal * a / c + cx - 0.5, focal * b / c + cy - 0.5
                j, i = int(column), int(row)
                if column < 0 or row < 0 or j >= width - 1 or i >= height - 1:
                    continue
                seen[k, v, u] += 1
                if head[i, j]:
                    p, q = column - j, row - i
                    shown[k, v, u] += 1
                    for e in range(3):
                        above = (1 - p) * frame[i, j, e] + p * frame[i, j + 1, e]
                        below = (1 - p) * frame[i + 1, j, e] + p * frame[i + 1, j + 1, e]
                        color[k, v, u, e] += (1 - q) * above + q * below
