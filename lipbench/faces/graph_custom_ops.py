"""The custom operators of MediaPipe's face and selfie nets, version 2 semantics, for batches.

Defined in mediapipe/util/tflite/operations/*.cc (Apache-2.0): landmarks_to_transform_matrix, transform_tensor_bilinear,
transform_landmarks, transpose_conv_bias. The attention mesh uses the first three to look at lips and eyes again: it
cuts a rotated patch of features around them and maps the points found there back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.core.errors import Unsupported

if TYPE_CHECKING:
    from lipbench.faces.tflite import Graph, Op

Run = Callable[[list[Tensor]], Tensor]


def landmarks_to_matrix(
    points: Tensor,
    subset: Tensor,
    left: int,
    right: int,
    size: tuple[int, int],
    scale: tuple[float, float],
    angle: float,
) -> Tensor:
    """The affine map from patch coordinates to feature coordinates.

    Args:
        points: (N, K, >=2) landmarks in feature units.
        subset: indices of the points that the patch encloses.
        left: index of one of the two points that lie level in the patch.
        right: index of the other.
        size: (height, width) of the patch.
        scale: (x, y) margin factors around the enclosed points.
        angle: the angle of left -> right in the patch, radians.

    Returns:
        (N, 4, 4), x and y in the first two rows and columns, the shift in the last column.
    """
    xy = points[..., :2]
    across = xy[:, right] - xy[:, left]  # (N, 2)
    turn = angle - torch.atan2(across[:, 1], across[:, 0])  # (N,)
    cos, sin = torch.cos(turn), torch.sin(turn)
    level = torch.stack([cos, -sin, sin, cos], -1).reshape(-1, 2, 2)  # turns the points level; its transpose back
    turned = xy[:, subset] @ level.transpose(1, 2)  # (N, S, 2)
    low, high = turned.amin(1), turned.amax(1)
    center = torch.einsum("nji,nj->ni", level, (low + high) / 2)
    per_pixel = (high - low) * points.new_tensor(scale) / points.new_tensor([size[1], size[0]])
    linear = level.transpose(1, 2) * per_pixel[:, None, :]  # (N, 2, 2): rotate back after scaling
    matrix = torch.eye(4, device=points.device).repeat(len(points), 1, 1)
    matrix[:, :2, :2] = linear
    matrix[:, :2, 3] = center - linear @ points.new_tensor([size[1] / 2, size[0] / 2])
    return matrix


def transform_bilinear(features: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """features (N, C, H, W), matrix (N, 4, 4) -> (N, C, *size), pixel centers at half integers, 0 outside."""
    height, width = features.shape[2:]
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    grid = torch.stack([x, y], -1).reshape(1, -1, 2).to(features.device)
    where = grid @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 3] - 0.5  # (N, P, 2) in pixel indices
    last = features.new_tensor([width - 1, height - 1])
    inside = ((where >= 0) & (where <= last)).all(-1)
    unit = (where + 0.5) * 2 / (last + 1) - 1
    found = F.grid_sample(features, unit.reshape(-1, *size, 2), align_corners=False)
    return found * inside.reshape(-1, 1, *size)


def transform_landmarks(points: Tensor, matrix: Tensor) -> Tensor:
    """points (N, K, 2 or 3), matrix (N, 4, 4) -> moved points; z stays."""
    moved = points[..., :2] @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 3]
    return torch.cat([moved, points[..., 2:]], -1)


def _matrix_op(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    o = op.options
    subset = torch.tensor(o["subset_idxs"], dtype=torch.long)
    left, right = o["left_rotation_idx"], o["right_rotation_idx"]
    size, scale = (o["output_height"], o["output_width"]), (o["scale_x"], o["scale_y"])
    angle = o["target_rotation_radians"]
    return (lambda x: landmarks_to_matrix(x[0], subset, left, right, size, scale, angle)), {}


def _bilinear_op(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    size = (op.options["output_height"], op.options["output_width"])
    return (lambda x: transform_bilinear(x[0], x[1], size)), {}


def _landmarks_op(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    return (lambda x: transform_landmarks(x[0], x[1])), {}


def _transpose_conv_op(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    weight, stride = constants[op.inputs[1]], (op.options["stride_h"], op.options["stride_w"])
    if weight.shape[1:3] != stride:
        # Kernel = stride makes the outputs tile without overlap, so that SAME and VALID agree and need no cropping.
        raise Unsupported("Convolution2DTransposeBias with overlap", "it is not implemented", "use the pinned models")
    wanted = {
        # (out, kh, kw, in) -> (in, out, kh, kw)
        op.inputs[1]: torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 0, 1, 2))),
        op.inputs[2]: torch.from_numpy(np.ascontiguousarray(constants[op.inputs[2]])),
    }
    return (lambda x: F.conv_transpose2d(x[0], x[1], x[2], stride)), wanted


BUILDERS: dict[str, Callable[..., tuple[Run, dict[int, Tensor]]]] = {
    "CUSTOM:Landmarks2TransformMatrix@2": _matrix_op,
    "CUSTOM:TransformTensorBilinear@2": _bilinear_op,
    "CUSTOM:TransformLandmarks@2": _landmarks_op,
    "CUSTOM:Convolution2DTransposeBias@1": _transpose_conv_op,
}
