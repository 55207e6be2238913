"""The result of a fit, one morphable model through a clip, and how well it explains its frames, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core import npz
from lipbench.core.errors import UsageError
from lipbench.faces.morphable import MorphableModel, load_model
from lipbench.faces.raster import Camera, matrix_to_euler, sh9

SCHEMA = 1
Array = NDArray[Any]


@dataclass(frozen=True)
class Fit:
    """A morphable model fitted to T frames. Lengths in dm, angles in radians, coefficients in standard deviations.

    A model point x lies at X = R x + t in camera space (+X right, +Y up, the camera looks down -Z) and at
    u = -focal X / Z + width / 2, v = focal Y / Z + height / 2 px in the image, as `faces.raster.Camera` has it.

    Attributes:
        model: what `faces.morphable.load_model` takes: "procedural" or a path.
        model_name: of the model that was fitted; the coefficients mean nothing with another one.
        basis_hash: of its expression basis.
        width: of the frames, px.
        height: of the frames, px.
        focal: px, the same in all frames.
        fps: frames per second.
        identity: (K_id,) of the person, the same in all frames.
        albedo: (K_alb,) of the person, the same in all frames; empty where the model has no colors or no photometric
            term was fitted.
        expression: (T, K_exp).
        rotation: (T, 3, 3).
        translation: (T, 3) dm.
        light: (T, 9, 3) spherical harmonics in camera axes (band order of `faces.raster.light`): pixel color in [0, 1]
            = albedo * (sh9(normal) @ light). Zero where no photometric term was fitted.
        texture: (N, 3) float32 display RGB per vertex as seen in the clip, light divided out: `albedo` and what the
            model's colors cannot express (brows, stubble). Empty without a photometric term.
        found: (T,) bool; where False no face was seen, and expression, pose and light are interpolated.
        landmark_error_px: (T,) weighted mean distance of the landmarks, NaN where not found.
        photometric_error: (T,) mean absolute color difference (0..1) at the visible vertices, NaN where not found or
            not fitted.
        notes: facts for reports, plain text.
    """

    model: str
    model_name: str
    basis_hash: str
    width: int
    height: int
    fps: float
    focal: float
    identity: Array
    albedo: Array
    expression: Array
    rotation: Array
    translation: Array
    light: Array
    texture: Array
    found: NDArray[np.bool_]
    landmark_error_px: Array
    photometric_error: Array
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.expression)

    @property
    def camera(self) -> Camera:
        """Of every frame."""
        return Camera(self.focal, self.width, self.height)

    @property
    def euler(self) -> NDArray[np.float64]:
        """(T, 3) radians, AD-NeRF's (theta, phi, psi)."""
        return matrix_to_euler(self.rotation)

    @property
    def c2w(self) -> NDArray[np.float64]:
        """(T, 3, 4) camera to head space, [R' | -R' t], dm (AD-NeRF data_util/process_data.py, step 7)."""
        back = np.swapaxes(self.rotation, 1, 2)
        return np.concatenate([back, -back @ self.translation[..., None]], 2)

    def load_model(self) -> MorphableModel:
        """The model that was fitted.

        Raises:
            UsageError: it is not there, or it is another one.
        """
        model = load_model(self.model)
        self.check(model)
        return model

    def check(self, model: MorphableModel) -> None:
        """Raises:
        UsageError: `model` is not the one that was fitted.
        """
        if model.basis_hash != self.basis_hash:
            raise UsageError(
                f"this fit was made with the model {self.model_name}, basis {self.basis_hash}",
                f"the model {model.name} at hand has the basis {model.basis_hash}",
                "fit the clip again, or use the model that was fitted",
            )

    def vertices(self, model: MorphableModel, t: int, expression: ArrayLike | None = None) -> NDArray[np.float64]:
        """(N, 3) dm, camera space, of frame t, with an expression (K_exp,) of your own on request."""
        shape = model.vertices(self.identity, self.expression[t] if expression is None else expression)
        return np.asarray(shape, np.float64) @ self.rotation[t].T + self.translation[t]

    def colors(self, normals: Array, t: int) -> NDArray[np.float64]:
        """(N, 3) RGB in [0, 1] of the vertices with camera-space normals (N, 3) in the light of frame t.

        Raises:
            UsageError: the fit has no photometric part.
        """
        if not len(self.texture):
            raise UsageError(
                "this fit has no colors", "it was made from landmarks alone", 'fit with the preset "demo" or "paper"'
            )
        return np.clip(self.texture * (sh9(normals) @ self.light[t]), 0.0, 1.0)

    def take(self, index: ArrayLike) -> Fit:
        """The fit of a video that shows frame `index[t]` of this one at its frame t."""
        i = np.asarray(index, np.int64)
        per_frame = (
            "expression",
            "rotation",
            "translation",
            "light",
            "found",
            "landmark_error_px",
            "photometric_error",
        )
        return replace(self, **{name: getattr(self, name)[i] for name in per_frame})

    def save(self, path: str | Path) -> Path:
        """Write as npz without pickles; returns the path."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "notes"}
        np.savez_compressed(path, schema=SCHEMA, notes=np.array(list(self.notes), dtype=np.str_), **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read what `save` wrote.

        Raises:
            UsageError: not such a file, or of another schema.
        """
        names = [f.name for f in fields(cls)]
        found = npz.load(path, SCHEMA, "the fit", "fit the clip again", names, UsageError)
        values: dict[str, Any] = {name: found[name] for name in names}
        for name, kind in _PLAIN.items():
            values[name] = kind(values[name])
        values["notes"] = tuple(str(note) for note in values["notes"])
        return cls(**values)


_PLAIN: dict[str, Any] = {
    "model": str,
    "model_name": str,
    "basis_hash": str,
    "width": int,
    "height": int,
    "fps": float,
    "focal": float,
}


@dataclass(frozen=True)
class FitReport:
    """Means over the frames with a face, and frames to look at.

    Attributes:
        n_frames: frames of the clip.
        n_found: those with a face.
        focal_px: focal length.
        landmark_px: mean of the frames' landmark errors.
        worst_landmark_px: the largest of them.
        photometric: mean color error 0..1, None when no colors were fitted.
        expression_size: root mean square of the expression coefficients, standard deviations; far above 1 = unlikely.
        suspicious: frames whose landmark error is more than twice the median, or without a face.
    """

    n_frames: int
    n_found: int
    focal_px: float
    landmark_px: float
    worst_landmark_px: float
    photometric: float | None
    expression_size: float
    suspicious: tuple[int, ...]

    def lines(self) -> list[str]:
        """The report in words."""
        photo = "not fitted" if self.photometric is None else f"{100 * self.photometric:.2f} % of full scale"
        return [
            f"face in {self.n_found} of {self.n_frames} frames",
            f"focal length {self.focal_px:.0f} px",
            f"landmarks {self.landmark_px:.2f} px on average, {self.worst_landmark_px:.2f} px in the worst frame",
            f"colors {photo}",
            f"expressions {self.expression_size:.2f} standard deviations (root mean square)",
            f"frames to look at: {', '.join(map(str, self.suspicious)) or 'none'}",
        ]


def frame_error(fit: Fit) -> NDArray[np.float64]:
    """(T,) landmark error of every frame over the clip's median: 1 is usual; infinite where no face was found."""
    median = float(np.median(fit.landmark_error_px[fit.found]))
    return np.where(fit.found, fit.landmark_error_px / max(median, 1e-9), np.inf)


def report(fit: Fit) -> FitReport:
    """Sum a fit up."""
    colors = fit.photometric_error[fit.found]
    return FitReport(
        n_frames=len(fit),
        n_found=int(fit.found.sum()),
        focal_px=fit.focal,
        landmark_px=float(fit.landmark_error_px[fit.found].mean()),
        worst_landmark_px=float(fit.landmark_error_px[fit.found].max()),
        photometric=float(colors.mean()) if np.isfinite(colors).all() else None,
        expression_size=float(np.sqrt((fit.expression[fit.found] ** 2).mean())),
        suspicious=tuple(int(t) for t in np.flatnonzero(frame_error(fit) > 2)),
    )
