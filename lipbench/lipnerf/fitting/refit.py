"""`refit`: the same person in another video of the same clip, as a lip source delivers it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting import gaps, landmark_stage, photo_stage
from lipbench.lipnerf.fitting.appearance import Look
from lipbench.lipnerf.fitting.clip import check_frames, require_found
from lipbench.lipnerf.fitting.fit import Fit
from lipbench.lipnerf.fitting.options import FitOptions, Say, silent
from lipbench.lipnerf.fitting.points import face_size, observed, points_of
from lipbench.lipnerf.fitting.state import Free, State
from lipbench.lipnerf.fitting.threads import one_torch_thread


def refit(
    fit: Fit, frames: NDArray[np.uint8], track: FaceTrack, options: FitOptions | None = None, say: Say = silent
) -> Fit:
    """Fit the expressions (and the light) of a video in which the person, the camera and the head's pose are those of
    `fit`, frame by frame.

    A lip source changes the mouth only; fitted alone, its output would get another identity and pose, and expressions
    that the rest of a fit does not know. The search starts at the source's expressions, and the prior pulls towards
    their mean: what the new video does not show stays as it was.

    Args:
        fit: of the source. When the video has another length, hand over `fit.take(index)`.
        frames: (T, H, W, 3) uint8 RGB.
        track: of the same frames.
        options: as for the source; `model` and `focal` are ignored.

    Raises:
        NoFace: no frame has landmarks.
        UsageError: another number or size of frames than the fit has.
        Unsupported: the track has boxes only.
    """
    options = FitOptions.preset("demo") if options is None else options
    check_frames(frames, track)
    if (len(track), track.width, track.height) != (len(fit), fit.width, fit.height):
        raise UsageError(
            "cannot fit this video again: it is not laid out as the source",
            f"the fit has {len(fit)} frames of {fit.width}x{fit.height}, the video {len(track)} of "
            f"{track.width}x{track.height}",
            "index the fit with the video's frames first: fit.take(index)",
        )
    model = fit.load_model()
    points = points_of(model, track)
    seen, found = observed(track, points)
    require_found(found, track)
    with one_torch_thread(options.device):
        device = torch.device(options.device)

        def tensor(x: ArrayLike) -> torch.Tensor:
            return torch.from_numpy(np.asarray(x, np.float64)).to(device)

        p = landmark_stage.problem(
            model,
            points,
            seen,
            found,
            face_size(track),
            (track.width, track.height),
            options,
            tensor(fit.expression[fit.found].mean(0) if fit.found.any() else fit.expression.mean(0)),
        )
        state = State(
            tensor(fit.identity),
            tensor(fit.expression[found]),
            tensor(fit.rotation[found]),
            tensor(fit.translation[found]),
            tensor(np.float64(fit.focal)),
        )
        state = p.solve(state, Free(pose=False), options.iterations)
        light, colour_error = fit.light, np.full(len(found), np.nan)
        if options.photometric and len(fit.texture):
            at = np.flatnonzero(found)
            small = photo_stage.shrink(frames, at, float(np.median(face_size(track)[found])), options.face_px)
            look = Look(fit.albedo, fit.texture.astype(np.float64), fit.light[fit.found].mean(0))
            photo = photo_stage.refine(p, model, state, small, options, Free(pose=False), 1, look, say)
            state, light = photo.state, gaps.fill(photo.light, found)
            colour_error[found] = photo.error
        error = np.full(len(found), np.nan)
        error[found] = p.error_px(state).cpu().numpy()
        expression = gaps.fill(state.expression.cpu().numpy(), found)
    say(f"landmarks: {found.sum()} of {len(found)} frames, error {np.nanmean(error):.2f} px")
    return replace(
        fit,
        expression=expression,
        found=found,
        landmark_error_px=error,
        light=light,
        photometric_error=colour_error,
        fps=track.fps,
    )
