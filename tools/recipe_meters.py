"""The meters of ER-NeRF's test run on two videos: classes out of a checkout, on frames as lipbench decodes them.

`tools.compare_recipe er-nerf` uses it. In place of FAN stand the landmarks that lipbench found, and lipbench's AlexNet
in the package lpips; the classes themselves are the checkout's, taken out of a module that needs much else.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import lpips
import numpy as np
import torch

from lipbench import media
from lipbench.core import weights
from lipbench.faces import track_faces
from lipbench.metrics.functional.lpips_trunk import read_trunk

METERS = {"PSNR": "PSNRMeter", "LPIPS (alex)": "LPIPSMeter", "LMD (fan)": "LMDMeter"}


def classes(checkout: Path) -> dict[str, Any]:
    """The meters' classes."""
    tree = ast.parse((checkout / "nerf_triplane" / "utils.py").read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in METERS.values()]
    names: dict[str, Any] = {"np": np, "torch": torch, "lpips": SimpleNamespace(LPIPS=_with_own_trunk)}
    exec(compile(tree, "utils.py", "exec"), names)
    return names


def landmarks(points: Iterator[Any]) -> ModuleType:
    """A package face_alignment that finds the given points, one picture after the other."""

    class FaceAlignment:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def get_landmarks(self, image: Any) -> list[Any]:
            return [next(points)]

    module = ModuleType("face_alignment")
    module.LandmarksType = type("LandmarksType", (), {"_2D": 1})  # type: ignore[attr-defined]
    module.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    return module


def numbers(checkout: Path, prediction: Path, reference: Path, faces: str) -> dict[str, float]:
    """What the meters report of a video against another."""
    videos = [np.stack(list(media.read_frames(video))) for video in (prediction, reference)]
    found = [track_faces(media.read_frames(v), backend=faces, fps=25).points68() for v in (prediction, reference)]
    sys.modules["face_alignment"] = landmarks(point for both in zip(*found, strict=True) for point in both)
    made = classes(checkout)
    meters = {
        "PSNR": made["PSNRMeter"](),
        "LPIPS (alex)": made["LPIPSMeter"](device=torch.device("cpu")),
        "LMD (fan)": made["LMDMeter"](backend="fan"),
    }
    with torch.no_grad():
        for both in zip(*videos, strict=True):
            mine, theirs = (torch.from_numpy(frame.astype(np.float32) / 255)[None] for frame in both)
            for meter in meters.values():
                meter.update(mine, theirs)
    return {name: float(meter.measure()) for name, meter in meters.items()}


def _with_own_trunk(net: str) -> Any:
    """The package's LPIPS with lipbench's AlexNet in place of the one that torchvision would download."""
    made = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    trunk = read_trunk(weights.path("alexnet"), "alex")
    made.net.load_state_dict({key: trunk["features." + key.split(".", 1)[1]] for key in made.net.state_dict()})
    return made
