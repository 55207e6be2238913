"""A morphable model through a clip (`fit_clip`), and again through a lip source's video of it (`refit`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import NoFace, UsageError
from lipbench.core.threads import one_torch_thread
from lipbench.faces.morphable import MorphableModel, load_model
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting import landmark_stage, photo_stage, temporal
from lipbench.lipnerf.fitting.appearance import Look
from lipbench.lipnerf.fitting.fit import Fit
from lipbench.lipnerf.fitting.landmark_solver import LandmarkProblem
from lipbench.lipnerf.fitting.options import FitOptions, Log, silent
from lipbench.lipnerf.fitting.points import face_size, observed, points_of
from lipbench.lipnerf.fitting.state import FitState, Free


def fit_clip(frames: NDArray[np.uint8], track: FaceTrack, options: FitOptions | None = None, log: Log = silent) -> Fit:
    """Fit a morphable model to a clip of one person.

    Identity, albedo and focal length are the same in all frames; expression, pose and light belong to each. Frames
    without a face are interpolated and flagged in `Fit.found`. Runs on one CPU thread or on `options.device`.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        track: of the same frames, with landmarks (68, 468 or 478 per frame).
        options: `FitOptions.preset("demo")` when None.
        log: gets a line per stage.

    Raises:
        NoFace: no frame has landmarks.
        UsageError: the track is of another video.
        Unsupported: the track has boxes only, or the model has no landmark vertices.
    """
    options = FitOptions.preset("demo") if options is None else options
    check_frames(frames, track)
    model = load_model(options.model)
    points = points_of(model, track)
    seen, found = observed(track, points)
    require_found(found, track)
    with one_torch_thread(options.device):
        p = landmark_stage.problem(model, points, seen, found, face_size(track), (track.width, track.height), options)
        state = landmark_stage.fit_landmarks(p, model, points, options, log)
        log(
            f"landmarks: {found.sum()} of {len(found)} frames, focal {float(state.focal):.0f} px, "
            f"error {float(p.error_px(state).mean()):.2f} px"
        )
        photo = None
        if options.photometric and model.n_albedo:
            at = np.flatnonzero(found)
            small = photo_stage.shrink(frames, at, float(np.median(face_size(track)[found])), options.face_px)
            photo = photo_stage.refine(p, model, state, small, options, Free(), options.photo_rounds, None, log)
            state = photo.state
        return as_fit(model, options, track, found, p, state, photo)


def check_frames(frames: NDArray[np.uint8], track: FaceTrack) -> None:
    """Raises:
    UsageError: frames and track are not of one video.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise UsageError(
            f"cannot fit frames of shape {frames.shape}, {frames.dtype}",
            "they must be (T, H, W, 3) uint8 RGB",
            "read them with lipbench.media.load_frames",
        )
    have = (len(frames), frames.shape[2], frames.shape[1])
    want = (len(track), track.width, track.height)
    if have != want:
        raise UsageError(
            "the face track is of another video",
            f"it has {want[0]} frames of {want[1]}x{want[2]}, the video {have[0]} of {have[1]}x{have[2]}",
            "track this video",
        )


def require_found(found: NDArray[np.bool_], track: FaceTrack) -> None:
    """Raises:
    NoFace: no frame has landmarks.
    """
    if not found.any():
        raise NoFace(
            "cannot fit the clip: no face was found",
            f"looked with {track.backend} in {len(track)} frames",
            "give a clip that shows one face, or landmarks of your own",
        )


def as_fit(
    model: MorphableModel,
    options: FitOptions,
    track: FaceTrack,
    found: NDArray[np.bool_],
    p: LandmarkProblem,
    state: FitState,
    photo: photo_stage.Photo | None,
) -> Fit:
    """The fit of a state, gaps filled."""

    def numpy(x: torch.Tensor) -> NDArray[np.float64]:
        return x.detach().cpu().numpy().astype(np.float64)

    n = len(found)
    error = np.full(n, np.nan)
    error[found] = numpy(p.error_px(state))
    color_error = np.full(n, np.nan)
    if photo is not None:
        color_error[found] = photo.error
    return Fit(
        model=options.model,
        model_name=model.name,
        basis_hash=model.basis_hash,
        width=track.width,
        height=track.height,
        fps=track.fps,
        focal=float(state.focal),
        identity=numpy(state.identity),
        albedo=np.zeros(0) if photo is None else photo.look.albedo,
        expression=temporal.fill(numpy(state.expression), found),
        rotation=temporal.fill_rotations(numpy(state.rotation), found),
        translation=temporal.fill(numpy(state.translation), found),
        light=np.zeros((n, 9, 3)) if photo is None else temporal.fill(photo.light, found),
        texture=np.zeros((0, 3), np.float32) if photo is None else photo.look.texture.astype(np.float32),
        found=found,
        landmark_error_px=error,
        photometric_error=color_error,
    )


def refit(
    fit: Fit, frames: NDArray[np.uint8], track: FaceTrack, options: FitOptions | None = None, log: Log = silent
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
        state = FitState(
            tensor(fit.identity),
            tensor(fit.expression[found]),
            tensor(fit.rotation[found]),
            tensor(fit.translation[found]),
            tensor(np.float64(fit.focal)),
        )
        state = p.solve(state, Free(pose=False), options.iterations)
        light, color_error = fit.light, np.full(len(found), np.nan)
        if options.photometric and len(fit.texture):
            at = np.flatnonzero(found)
            small = photo_stage.shrink(frames, at, float(np.median(face_size(track)[found])), options.face_px)
            look = Look(fit.albedo, fit.texture.astype(np.float64), fit.light[fit.found].mean(0))
            photo = photo_stage.refine(p, model, state, small, options, Free(pose=False), 1, look, log)
            state, light = photo.state, temporal.fill(photo.light, found)
            color_error[found] = photo.error
        error = np.full(len(found), np.nan)
        error[found] = p.error_px(state).cpu().numpy()
        expression = temporal.fill(state.expression.cpu().numpy(), found)
    log(f"landmarks: {found.sum()} of {len(found)} frames, error {np.nanmean(error):.2f} px")
    return replace(
        fit,
        expression=expression,
        found=found,
        landmark_error_px=error,
        light=light,
        photometric_error=color_error,
        fps=track.fps,
    )
