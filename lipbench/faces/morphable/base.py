"""The one interface of 3D morphable models: `MorphableModel`.

vertices = mean + sum_k identity[k] sigma_id[k] B_id[k] + sum_k expression[k] sigma_exp[k] B_exp[k]

Coefficients are in standard deviations, lengths in dm (AD-NeRF's unit: BFM / 1e5), axes +x image right, +y up,
+z towards the viewer of a frontal face.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core import npz
from lipbench.core.errors import Unsupported, UsageError, WeightsError
from lipbench.core.weights.opening import reading

Array = NDArray[Any]
SCHEMA = 1


@dataclass(frozen=True)
class LandmarkIndices:
    """Vertices of the 68-point convention (iBUG).

    Attributes:
        points: (68,).
        left: (8, K) candidates for the jaw's points 0..7 and 9..16, or None: of each row the vertex farthest to the
            image's left (right) is the visible contour (AD-NeRF face_tracking/facemodel.py).
        right: (8, K) candidates for the jaw's points 0..7 and 9..16, or None: of each row the vertex farthest to the
            image's left (right) is the visible contour (AD-NeRF face_tracking/facemodel.py).
    """

    points: NDArray[np.int64]
    left: NDArray[np.int64] | None = None
    right: NDArray[np.int64] | None = None

    def visible(self, x: Array) -> NDArray[np.int64]:
        """(68,) vertices for an image in which the (N,) vertices project to `x` px."""
        points = self.points.copy()
        if self.left is not None and self.right is not None:
            rows = np.arange(8)
            points[:8] = self.left[rows, x[self.left].argmin(1)]
            points[9:17] = self.right[rows, x[self.right].argmax(1)]
        return points


def _empty() -> Array:
    return np.zeros(0)


@dataclass(frozen=True)
class MorphableModel:
    """A linear model of face shape, expression and albedo.

    Attributes:
        name: e.g. "procedural", "adnerf-3dmm", "bfm2019", "flame".
        licence: what may be done with it, one line.
        mean: (N, 3) dm, neutral.
        identity_basis: (K_id, N, 3) dm.
        identity_sigma: (K_id,).
        expression_basis: (K_exp, N, 3) dm.
        expression_sigma: (K_exp,).
        triangles: (M, 3) int64, counter-clockwise from outside.
        albedo_mean: (N, 3), display RGB in [0, 1]; empty when the model has no colors.
        albedo_basis: (K_alb, N, 3).
        albedo_sigma: (K_alb,).
        landmarks: None when the file names none.
        rigid: vertices that expressions hardly move (for temporal smoothing of the pose), may be empty.
        lips: vertices of the lips, may be empty.
    """

    name: str
    licence: str
    mean: Array
    identity_basis: Array
    identity_sigma: Array
    expression_basis: Array
    expression_sigma: Array
    triangles: NDArray[np.int64]
    albedo_mean: Array = field(default_factory=_empty)
    albedo_basis: Array = field(default_factory=_empty)
    albedo_sigma: Array = field(default_factory=_empty)
    landmarks: LandmarkIndices | None = None
    rigid: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lips: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    units: str = "dm"

    @property
    def n_vertices(self) -> int:
        return len(self.mean)

    @property
    def n_identity(self) -> int:
        return len(self.identity_sigma)

    @property
    def n_expression(self) -> int:
        return len(self.expression_sigma)

    @property
    def n_albedo(self) -> int:
        return len(self.albedo_sigma)

    def vertices(
        self,
        identity: ArrayLike | None = None,
        expression: ArrayLike | None = None,
        rows: NDArray[np.integer] | slice = slice(None),
    ) -> Array:
        """(..., K_id) and (..., K_exp) coefficients in standard deviations (None = zero) -> (..., N, 3) dm.

        Args:
            identity: coefficients.
            expression: coefficients.
            rows: which of the model's vertices.

        Raises:
            UsageError: wrong number of coefficients.
        """
        out = self.mean[rows]
        if identity is not None:
            out = out + self._add(identity, self.identity_basis[:, rows], self.identity_sigma, "identity")
        if expression is not None:
            out = out + self._add(expression, self.expression_basis[:, rows], self.expression_sigma, "expression")
        return out

    def albedo(self, coefficients: ArrayLike | None = None) -> Array:
        """(..., K_alb) coefficients -> (..., N, 3) display RGB, not clipped.

        Raises:
            Unsupported: the model has no colors.
        """
        if not len(self.albedo_mean):
            raise Unsupported(
                f"the model {self.name} has no albedo", "its file holds shapes only", "use a model with colors"
            )
        if coefficients is None:
            return self.albedo_mean
        return self.albedo_mean + self._add(coefficients, self.albedo_basis, self.albedo_sigma, "albedo")

    def _add(self, coefficients: ArrayLike, basis: Array, sigma: Array, what: str) -> Array:
        c = np.asarray(coefficients, basis.dtype)
        if c.shape[-1:] != sigma.shape:
            raise UsageError(
                f"cannot use {what} coefficients of shape {c.shape} with the model {self.name}",
                f"it has {len(sigma)} {what} dimensions",
                "were they fitted with another model? Compare the basis hashes",
            )
        return ((c * sigma) @ basis.reshape(len(sigma), -1)).reshape(*c.shape[:-1], *basis.shape[1:])

    def require_landmarks(self) -> LandmarkIndices:
        """The landmark vertices.

        Raises:
            Unsupported: the model names none.
        """
        if self.landmarks is None:
            raise Unsupported(
                f"the model {self.name} has no landmark vertices",
                "its file names none",
                "pass 68 vertex numbers to its loader (landmarks=...)",
            )
        return self.landmarks

    def truncated(self, identity: int | None = None, expression: int | None = None, albedo: int | None = None) -> Any:
        """The same model with only the first modes of each basis (None = all)."""
        return replace(
            self,
            identity_basis=self.identity_basis[:identity],
            identity_sigma=self.identity_sigma[:identity],
            expression_basis=self.expression_basis[:expression],
            expression_sigma=self.expression_sigma[:expression],
            albedo_basis=self.albedo_basis[:albedo],
            albedo_sigma=self.albedo_sigma[:albedo],
        )

    @cached_property
    def basis_hash(self) -> str:
        """16 hex digits that name the expression space: store them beside saved coefficients.

        Covers topology, mean and expression basis with signs and order. Made of rounded projections, so that the last
        bits, which differ between machines, do not change it.
        """
        digest = hashlib.sha256(f"{self.n_vertices} {self.n_expression}".encode())
        digest.update(np.ascontiguousarray(self.triangles, "<i8").tobytes())
        probe = np.sin(np.arange(1, self.n_vertices * 3 + 1)[None] * np.array([[0.7], [1.3], [2.9]]))
        flat = np.concatenate([self.mean.reshape(1, -1), self.expression_basis.reshape(self.n_expression, -1)])
        size = np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12
        digest.update(np.round(flat.astype(np.float64) / size @ probe.T * 1e3).astype("<i8").tobytes())
        digest.update(np.round(np.log(self.expression_sigma.astype(np.float64) + 1e-12) * 1e3).astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | Path) -> Path:
        """Write as npz without pickles; returns the path."""
        arrays = {
            name: getattr(self, name)
            for name in (
                "mean",
                "identity_basis",
                "identity_sigma",
                "expression_basis",
                "expression_sigma",
                "triangles",
                "albedo_mean",
                "albedo_basis",
                "albedo_sigma",
                "rigid",
                "lips",
            )
        }
        if self.landmarks is not None:
            arrays["landmarks"] = self.landmarks.points
            if self.landmarks.left is not None and self.landmarks.right is not None:
                arrays |= {"contour_left": self.landmarks.left, "contour_right": self.landmarks.right}
        np.savez(path, schema=SCHEMA, name=self.name, licence=self.licence, units=self.units, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> MorphableModel:
        """Read what `save` wrote.

        Raises:
            WeightsMissing, WeightsError: no such file, or not such a file.
        """
        fix = "convert it again from the original files"
        needs = ("name", "licence", "units")
        with reading(path, fix) as path:
            arrays = npz.load(path, SCHEMA, "the weights", fix, needs, WeightsError)
        points, left, right = (arrays.pop(k, None) for k in ("landmarks", "contour_left", "contour_right"))
        values: dict[str, Any] = {k: str(arrays.pop(k)) for k in ("name", "licence", "units")}
        values |= arrays
        return cls(**values, landmarks=None if points is None else LandmarkIndices(points, left, right))


def positive_signs(modes: Array) -> Array:
    """(K, ...) -> (K,) of +-1 that make each mode's entry of largest magnitude positive.

    An SVD leaves signs open, and they do differ between machines and thread counts; this convention fixes them.
    """
    flat = modes.reshape(len(modes), -1)
    largest = np.take_along_axis(flat, np.abs(flat).argmax(1)[:, None], 1)[:, 0]
    return np.where(largest < 0, -1.0, 1.0)
