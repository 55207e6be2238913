"""Collects the parts of the head into one mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.surface import Material
from lipbench.synthetic.head.shape import Array

Index = NDArray[np.int64]


class HeadBuilder:
    """Vertices, triangles with texture coordinates and materials; `groups` remembers who is who."""

    def __init__(self, first: int = 0) -> None:
        self._points: list[Array] = []
        self._triangles: list[Index] = []
        self._uv: list[NDArray[np.float32]] = []
        self._material: list[NDArray[np.uint8]] = []
        self._two_sided: list[NDArray[np.bool_]] = []
        self.groups: dict[str, Index] = {}
        self.count = first

    def vertices(self, group: str, points: Array) -> Index:
        """Add (..., 3) points under a name; returns their indices with the leading shape."""
        index = self.count + np.arange(points[..., 0].size).reshape(points.shape[:-1])
        self._points.append(points.reshape(-1, 3))
        self.count += index.size
        self.groups[group] = index
        return index

    def points(self) -> Array:
        """(N, 3) vertices so far."""
        return np.concatenate([np.zeros((0, 3)), *self._points])

    def triangles(
        self, triangles: Index, uv: NDArray[np.floating], material: Material, two_sided: bool = False
    ) -> None:
        """Add (M, 3) triangles with (M, 3, 2) corner texels."""
        m = len(triangles)
        self._triangles.append(np.asarray(triangles, np.int64))
        self._uv.append(np.asarray(uv, np.float32))
        self._material.append(np.full(m, material, np.uint8))
        self._two_sided.append(np.full(m, two_sided))

    def grid(
        self,
        index: Index,
        texels: NDArray[np.floating],
        material: Material,
        *,
        closed: bool = False,
        flip: bool = False,
        two_sided: bool = False,
    ) -> None:
        """Triangulate a (H, W) grid of vertices.

        Triangles are counter-clockwise when columns run counter-clockwise and rows run inwards-out.

        Args:
            texels: (H, W, 2), or (H, W + 1, 2) when `closed` joins the last column to the first.
        """
        if closed:
            index = np.concatenate([index, index[:, :1]], 1)
        a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        ta, tb, tc, td = texels[:-1, :-1], texels[1:, :-1], texels[1:, 1:], texels[:-1, 1:]
        tri = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
        uv = np.concatenate(
            [np.stack([ta, tb, tc], -2).reshape(-1, 3, 2), np.stack([ta, tc, td], -2).reshape(-1, 3, 2)]
        )
        if flip:
            tri, uv = tri[:, ::-1], uv[:, ::-1]
        self.triangles(tri, uv, material, two_sided)

    def arrays(self) -> tuple[Array, Index, NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]:
        """points (N, 3), triangles (M, 3), uv (M, 3, 2), material (M,), two_sided (M,)."""
        return (
            self.points(),
            np.concatenate([np.zeros((0, 3), np.int64), *self._triangles]),
            np.concatenate([np.zeros((0, 3, 2), np.float32), *self._uv]),
            np.concatenate([np.zeros(0, np.uint8), *self._material]),
            np.concatenate([np.zeros(0, np.bool_), *self._two_sided]),
        )
