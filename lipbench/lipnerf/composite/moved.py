"""Where a dub's expression moves the head: the rendered head is put in there, the rest of the head stays as filmed.

A dub has the source frame's pose, light and hair. What of the head its expression does not move looks as it was filmed,
and a field's picture of it can only be worse. How far the skin is moved the fitted mesh tells:

    motion(p) = focal / depth |v_dub - v_own|      px, of the skin at p under the one expression or the other

Up to `STILL` px of it the frame is the source's, from `MOVED` px on and between the lips it is as rendered: what moves
less than lip source and tracker are wrong by is nearer to the truth where it was filmed. Skin keeps what is finer than
`DETAIL` px as it was filmed, taken from where the mesh says that the source frame has it; an outline that moves little
is the filmed one, moved. The paper pastes the whole head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster import Camera
from lipbench.faces.raster.nearest import nearest_pixels
from lipbench.faces.raster.zbuffer import visibility
from lipbench.lipnerf.composite.matte import straight
from lipbench.nerf.relief.mesh import HeadMesh, seen_values

Map = NDArray[np.float32]

#: Motion in px up to which the source shows, and from which on the rendered head does; how far the region is widened
#: and over how much it fades, px. All of a face that is `SIZE` px from the eyes to the chin; others in proportion.
STILL, MOVED, RIM, FADE, SIZE = 0.3, 2.0, 1.0, 1.0, 100.0
#: px of motion up to which the filmed frame itself is moved, and from which on it is not; standard deviation of the
#: blur that parts a skin's detail from its light; px beside an outline over which its motion fades.
LITTLE, MUCH, DETAIL, BESIDE = 0.5, 1.5, 2.0, 8.0
#: px about a hole in an outline, and the mean opacities there below which it is none, and above which it is one.
HOLE, SEEN = 2.0, (0.4, 0.6)
AROUND = 8  # px about such holes in which colors are looked for, see `matte.straight`
CHIN, EYES, OUTER_LIPS = 8, slice(36, 48), slice(48, 60)


class Moved(NamedTuple):
    """What a dub's expression moves of a frame.

    Attributes:
        share: (H, W) how much of a rendered head the frame takes, 0 to 1.
        view: rows and columns (h, w) in which that is not 0.
        flow: (h, w, 2) px from the dub's skin to where the source frame has it; fading beside the head.
        bare: (h, w) 1 on the dub's skin that moves, lips left out.
        skin: (h, w) 1 on skin without lips that both frames show, fading to 0.
        little: (h, w) 1 at and beside the outline where nothing moves far, fading to 0.
        scale: of the face, against `SIZE`.
    """

    share: Map
    view: tuple[slice, slice]
    flow: Map
    bare: Map
    skin: Map
    little: Map
    scale: float


def moved_region(
    mesh: HeadMesh,
    own: NDArray[np.float64],
    dub: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
) -> Moved:
    """What of a frame is rendered, and how the rest is moved.

    Args:
        mesh: of the person.
        own: (N, 3) dm, how far the source frame's expression moves the mesh.
        dub: (N, 3) dm, how far the expression does that is rendered.
        rotation: (3, 3) head to camera, of the source frame.
        translation: (3,) dm.
        camera: whose image it is.
    """
    shapes = [mesh.placed(moved, rotation, translation) for moved in (own, dub)]
    pixels = [camera.project(shape) for shape in shapes]
    here, there = (each[mesh.mark_rows] for each in pixels)
    scale = max(float(np.linalg.norm(here[CHIN] - here[EYES].mean(0))) / SIZE, 1e-6)
    change = shapes[1] - shapes[0]
    depth = np.maximum(np.minimum(-shapes[0][:, 2], -shapes[1][:, 2]), 1e-3)
    px = _length(change) * camera.focal / depth
    values = np.column_stack([px, pixels[0] - pixels[1]])
    # Skin that stays hides nothing of the rest here: the region only grows by what it would hide.
    moves = px > STILL * scale
    a, b, c = mesh.triangles.T
    moving = mesh.triangles[moves[a] | moves[b] | moves[c]]
    (was, had), (seen, has) = (_seen(shape, values, moving, camera) for shape in shapes)
    share = np.clip((np.maximum(was[..., 0], seen[..., 0]) / scale - STILL) / (MOVED - STILL), 0, 1)
    lips = cv2.convexHull(np.concatenate([marks[OUTER_LIPS] for marks in (here, there)]).astype(np.float32))
    mouth = np.zeros(share.shape, np.float32)
    cv2.fillConvexPoly(mouth, lips.round().astype(np.int32), 1.0)
    reach = 2 * max(1, round(RIM * scale)) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach - 1, 2 * reach - 1))
    soft = _soft(np.asarray(cv2.dilate(np.maximum(share, mouth), around), np.float32), scale)
    region = np.where(soft < 1 / 512, 0, soft).astype(np.float32)
    view = _view(region)
    flow = _beside(seen[view][..., 1:], has[view], BESIDE * scale)
    both = _inside(has[view]) * _taken(_inside(had), flow, view, cv2.INTER_LINEAR)
    skinned = 1 - _soft(np.asarray(cv2.dilate(mouth[view], around), np.float32), scale)
    little = np.clip((MUCH - _length(flow) / scale) / (MUCH - LITTLE), 0, 1)
    outline = 1 - cv2.erode(has[view].astype(np.uint8), rim).astype(np.float32)
    skin, outlined = skinned * _soft(both, scale), skinned * _soft(little * outline, scale)
    return Moved(region, view, flow, skinned * has[view], skin, outlined, scale)


def solid(rgb: Map, alpha: Map, head: NDArray[np.bool_], moved: Moved) -> tuple[Map, Map]:
    """A render of the dub's frame without holes along its outline: colors and opacity again.

    Few frames show what the outline of a turned head is made of, and what a field has learnt there is frayed. Where
    mesh and mask agree to a pixel that there is skin, it is opaque, in the colors beside it. Where the field sees
    nothing far and wide, as under a chin, it knows better.

    Args:
        rgb: (H, W, 3) premultiplied, 0 to 1.
        alpha: (H, W).
        head: (H, W) of the source frame.
        moved: of the same frames.
    """
    rgb, alpha, view = rgb.copy(), alpha.copy(), moved.view
    near = cv2.dilate(head.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    known = moved.bare * _taken(near, moved.flow, view, cv2.INTER_LINEAR)
    around = np.asarray(cv2.GaussianBlur(alpha[view], (0, 0), HOLE), np.float32)
    missing = np.maximum(known - alpha[view], 0) * np.clip((around - SEEN[0]) / (SEEN[1] - SEEN[0]), 0, 1)
    part = _view(missing, AROUND)
    colors, opacity, missing = rgb[view][part], alpha[view][part], missing[part]
    colors += missing[..., None] * straight(colors, opacity)
    opacity += missing
    return rgb, alpha


def over_source(source: NDArray[np.uint8], image: NDArray[np.uint8], moved: Moved) -> NDArray[np.uint8]:
    """The source frame (H, W, 3) with an image's share (H, W, 3) over it, skin as fine as filmed; where the share is 0,
    the source's bits.

    What is finer than `DETAIL` px lies in both in one place, moved there by the share of its way: two pictures of one
    pore beside each other would blur it.
    """
    out, view = source.copy(), moved.view
    share, skin, little = moved.share[view][..., None], moved.skin[..., None], moved.little[..., None]
    still, drawn = (x[view].astype(np.float32) for x in (source, image))
    filmed = _taken(source, moved.flow * share, view, cv2.INTER_CUBIC)
    sigma = max(DETAIL * moved.scale, 0.3)
    differ = filmed - drawn
    away, known = (cv2.GaussianBlur(x, (0, 0), sigma) for x in (differ * skin, moved.skin))
    drawn += skin * (differ - away / np.maximum(known, 0.05)[..., None])
    drawn += little * (filmed - drawn)
    still += np.maximum(skin, little) * (filmed - still)
    out[view] = np.clip(still + share * (drawn - still) + 0.5, 0, 255).astype(np.uint8)
    return out


def _seen(
    points: NDArray[np.float64], values: NDArray[np.float64], triangles: NDArray[np.int32], camera: Camera
) -> tuple[Map, NDArray[np.bool_]]:
    """What is seen of values (N, 3) of a mesh's vertices (N, 3), in camera space: (H, W, 3), 0 beside it, and where."""
    triangle = visibility(points, triangles, camera).triangle
    return seen_values(points, values, triangles, triangle, camera)[1], triangle >= 0


def _beside(flow: Map, known: NDArray[np.bool_], reach: float) -> Map:
    """A flow (H, W, 2), 0 where it is not known, and beside it that of the nearest pixel, the less the farther away."""
    out = flow.copy()
    if not known.any():
        return out
    away, number, place = nearest_pixels(known)
    beside = np.flatnonzero(~known & (away < 3 * reach))
    share = np.exp(-np.square(away.ravel()[beside] / reach)).astype(np.float32)
    pixels = out.reshape(-1, 2)
    pixels[beside] = pixels[place[number.ravel()[beside]]] * share[:, None]
    return out


def _taken(image: NDArray[Any], flow: Map, view: tuple[slice, slice], how: int) -> Map:
    """A view (h, w) of an image (H, W) or (H, W, 3), taken from where its flow (h, w, 2) points to."""
    y, x = (np.arange(part.start, part.stop, dtype=np.float32) for part in view)
    columns, rows = x + flow[..., 0], y[:, None] + flow[..., 1]
    taken = cv2.remap(image, columns, rows, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken, np.float32)


def _view(region: Map, more: int = 0) -> tuple[slice, slice]:
    """Rows and columns in which a region (H, W) is not 0, and `more` about them; a pixel if it is 0 everywhere."""
    there = region > 0
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    if not len(rows):
        return np.s_[:1, :1]
    (top, bottom), (left, right) = ((max(int(x[0]) - more, 0), int(x[-1]) + 1 + more) for x in (rows, columns))
    return slice(top, bottom), slice(left, right)


def _inside(mask: NDArray[np.bool_]) -> Map:
    """A mask (H, W) without its rim."""
    return cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)


def _length(vectors: NDArray[Any]) -> NDArray[Any]:
    """(...) of vectors (..., C)."""
    total = np.square(vectors[..., 0])
    for c in range(1, vectors.shape[-1]):
        total += np.square(vectors[..., c])
    return np.sqrt(total, out=total)


def _soft(mask: NDArray[np.floating], scale: float) -> Map:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(FADE * scale, 0.3)), np.float32)
