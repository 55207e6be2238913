"""Rasterizer: meshes to images, labels and depth, on one CPU core."""

from lipbench.faces.raster.camera import Camera, euler_to_matrix, matrix_to_euler
from lipbench.faces.raster.light import Light, sh9
from lipbench.faces.raster.normals import vertex_normals
from lipbench.faces.raster.render import Renderer, RenderOutput
from lipbench.faces.raster.surface import PALETTE, Eye, Material, Surface, SurfaceLabel
from lipbench.faces.raster.zbuffer import Visibility, barycentrics, interpolate, visibility

__all__ = [
    "PALETTE",
    "Camera",
    "Eye",
    "Light",
    "Material",
    "RenderOutput",
    "Renderer",
    "Surface",
    "SurfaceLabel",
    "Visibility",
    "barycentrics",
    "euler_to_matrix",
    "interpolate",
    "matrix_to_euler",
    "sh9",
    "vertex_normals",
    "visibility",
]
