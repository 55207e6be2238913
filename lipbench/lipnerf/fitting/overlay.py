"""A fit drawn over its frames, for looking at: mesh, landmarks and their residuals, light and colors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.faces.morphable import MorphableModel
from lipbench.faces.raster import barycentrics, interpolate, vertex_normals, visibility
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting.fit import Fit
from lipbench.lipnerf.fitting.points import correspondence, face_size, observed

Image = NDArray[np.uint8]
MESH = (90, 200, 255)
LOST = (255, 60, 60)
#: Residuals from green (0) to red, as a share of the face's size.
WORST = 0.06
_SHIFT = 4  # cv2 draws at 1/16 px


def draw_mesh(frame: Image, fit: Fit, model: MorphableModel, t: int, strength: float = 0.3) -> Image:
    """A copy of frame t with the wire frame of the triangles that are seen."""
    points = fit.vertices(model, t)
    seen = visibility(points, model.triangles, fit.camera, True).triangle
    triangles = model.triangles[np.unique(seen[seen >= 0])]
    uv = np.clip((fit.camera.project(points) - 0.5) * 2**_SHIFT, -1e6, 1e6).round().astype(np.int32)
    color = MESH if fit.found[t] else LOST
    wire = frame.copy()
    cv2.polylines(wire, list(uv[triangles]), True, color, 1, cv2.LINE_AA, _SHIFT)
    return np.asarray(cv2.addWeighted(frame, 1 - strength, wire, strength, 0), np.uint8)


def draw_residuals(frame: Image, fit: Fit, model: MorphableModel, track: FaceTrack, t: int) -> Image:
    """A copy of frame t with the model's landmarks, each tied to where the tracker saw it, green to red by distance."""
    out = frame.copy()
    if track.landmarks is None or not fit.found[t]:
        return out
    points = correspondence(model, track.landmarks.shape[1])
    one = track.take([t])
    seen = observed(one, points)[0][0]
    camera_space = fit.vertices(model, t)
    vertex = points.vertices[points.at]
    if len(points.sliding):
        x = fit.camera.project(camera_space[points.vertices[points.candidates]])[..., 0] * points.side[:, None]
        best = x.argmax(1)
        vertex[points.sliding] = points.vertices[points.candidates[np.arange(len(best)), best]]
    uv = fit.camera.project(camera_space[vertex])
    share = np.clip(np.linalg.norm(uv - seen, axis=1) / face_size(one)[0] / WORST, 0, 1)
    for a, b, s in zip(uv, seen, share, strict=True):
        color = (int(255 * min(1, 2 * s)), int(255 * min(1, 2 - 2 * s)), 40)
        p, q = ((np.asarray(v) - 0.5) * 2**_SHIFT for v in (a, b))
        ends = [(int(v[0]), int(v[1])) for v in (p, q)]
        cv2.line(out, ends[0], ends[1], color, 1, cv2.LINE_AA, _SHIFT)
        cv2.circle(out, ends[0], round(1.3 * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)
    return out


def draw_colors(frame: Image, fit: Fit, model: MorphableModel, t: int) -> Image:
    """Frame t with the fitted head painted over it, in the fitted colors and light; gray shading without them."""
    points = fit.vertices(model, t)
    normals = vertex_normals(points, model.triangles)
    if len(fit.texture):
        rgb = fit.colors(normals, t)
    else:
        rgb = np.repeat(np.clip(0.25 + 0.6 * normals[:, 2:], 0, 1), 3, 1)
    seen = visibility(points, model.triangles, fit.camera, True).triangle
    weights = barycentrics(points, model.triangles, seen, fit.camera)
    painted = interpolate(rgb, model.triangles, seen, weights)
    return np.where((seen >= 0)[..., None], np.clip(painted * 255 + 0.5, 0, 255), frame).astype(np.uint8)


def panel(frame: Image, fit: Fit, model: MorphableModel, track: FaceTrack | None, t: int) -> Image:
    """(H, 3 W, 3): wire frame, residuals, painted head; the frame's numbers in words."""
    middle = frame.copy() if track is None else draw_residuals(frame, fit, model, track, t)
    out = np.concatenate([draw_mesh(frame, fit, model, t), middle, draw_colors(frame, fit, model, t)], 1)
    words = f"{t}: {fit.landmark_error_px[t]:.2f} px, colors {100 * fit.photometric_error[t]:.1f} %"
    if not fit.found[t]:
        words = f"{t}: no face seen, interpolated"
    cv2.putText(out, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(out, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def overlay_video(frames: NDArray[np.uint8], fit: Fit, path: str | Path, track: FaceTrack | None = None) -> Path:
    """Write `panel` of every frame (T, H, W, 3) as a video; about 30 ms per frame of 256 px.

    Raises:
        UsageError: the fit's model is not there.
    """
    model = fit.load_model()

    def panels() -> Iterator[Image]:
        for t, frame in enumerate(frames):
            yield panel(frame, fit, model, track, t)

    with media.VideoWriter(path, fps=fit.fps, width=3 * fit.width, height=fit.height) as writer:
        for image in panels():
            writer.write(image)
    return Path(path)
