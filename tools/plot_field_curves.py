"""PSNR, PSNR of the mouth and LPIPS of LipNeRF's fields over CPU seconds of training: the curves of docs/field.md.

    python -m tools.plot_field_curves docs/img/field_curves.png --seconds 40 --seed 0

Each field is trained with its `demo` settings on the fitted demo-en, its rates falling over the given CPU seconds of
this process, set-up included. At each mark it draws frames of the French dub, told the expressions of the true video
(a perfect driver), which are put back into the clip and compared to that video. Rendering and measuring do not count.
LPIPS needs the weights `alexnet`. Beside the figure a JSON of the numbers is written.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

mpl.use("Agg")
from matplotlib import pyplot as plt

from lipbench import media
from lipbench.datasets import demo
from lipbench.datasets.annotations import Annotations
from lipbench.faces.parsing import clean_plate
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.composite import CompositeOptions
from lipbench.lipnerf.expression.smoothing import smooth
from lipbench.lipnerf.expression.upper_face import keep_upper_face
from lipbench.lipnerf.face_boxes import mouth_boxes
from lipbench.lipnerf.fitting import FitOptions, refit
from lipbench.lipnerf.output import DubRenderer
from lipbench.lipnerf.prepared import PreparedClip, relief_scene_of, scene_of
from lipbench.lipnerf.shots import Shot, prepare_shots
from lipbench.metrics import lpips_per_frame, psnr_per_frame
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.training import ReliefTraining
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trainer import FieldTraining

FIELDS = ("relief", "triplane", "mlp")
MARKS = (0.25, 0.5, 0.75, 1.0)  # of the seconds
EVERY = 25  # frames of the dub between two that are drawn
NAMES = {"full": "PSNR, dB", "mouth": "PSNR of the mouth, dB", "lpips": "LPIPS"}


class Clip:
    """demo-en, fitted and parsed, and its French dub.

    Args:
        prepared: folder of a finished `prepare` of demo-en with `fit: landmarks`; made when None.
    """

    def __init__(self, prepared: Path | None) -> None:
        folder = demo.manifest().parent / "clips" / "demo-en"
        self.frames = media.load_frames(folder / "demo-en.mp4")
        self.track, options = FaceTrack.load(folder / "faces.npz"), FitOptions.preset("landmarks")
        if prepared is None:
            (self.prepared,) = prepare_shots([Shot(self.frames, self.track)], options, "projection", print)
        else:
            self.prepared = PreparedClip.load(prepared)
        fit = self.prepared.fit
        self.plate = clean_plate(self.frames, self.prepared.parsing)
        truth, said = media.load_frames(folder / "truth_fr.mp4"), Annotations.load(folder / "annotations_fr.npz")
        self.index = np.arange(0, len(truth), EVERY)
        self.truth, self.boxes = truth[self.index], mouth_boxes(said.landmarks68)[self.index]
        self.condition = smooth(fit.expression)
        spoken = smooth(refit(fit, truth, said.face_track(), options).expression)
        self.driven = keep_upper_face(fit.load_model(), self.condition, spoken)[self.index]

    def training(self, field: str, seed: int) -> Any:
        """A field that knows nothing yet, and its scene."""
        given = (self.prepared, self.frames, self.plate, self.condition, self.track)
        length = {"condition": self.condition.shape[1]}
        if field == "relief":
            return ReliefTraining(scene := relief_scene_of(*given), relief_preset("demo", length), seed), scene
        return FieldTraining(scene := scene_of(*given), preset("demo", field, length), seed), scene

    def measure(self, trained: Any, scene: Any) -> dict[str, float]:
        """The dub's frames against the true ones."""
        renderer = DubRenderer(self.prepared, self.frames, self.plate, trained, scene, CompositeOptions())
        made = np.stack(list(renderer.composited(self.driven, self.index)))
        mouths = [
            psnr_per_frame(image[None, y0:y1, x0:x1], true[None, y0:y1, x0:x1])[0]
            for image, true, (x0, y0, x1, y1) in zip(made, self.truth, self.boxes.astype(int), strict=True)
        ]
        return {
            "full": float(np.mean(psnr_per_frame(made, self.truth))),
            "mouth": float(np.mean(mouths)),
            "lpips": float(np.mean(lpips_per_frame(made, self.truth))),
        }


def curve(clip: Clip, field: str, seconds: float, seed: int) -> list[dict[str, float]]:
    """A field's numbers at every mark; what compiles in a first step is compiled before."""
    clip.training(field, seed)[0].step(0, 0.0)
    begun = time.process_time()
    training, scene = clip.training(field, seed)
    number, away, rows = 0, 0.0, []
    for mark in MARKS:
        while (spent := time.process_time() - begun - away) < mark * seconds:
            torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
            training.step(number, min(1.0, spent / seconds))
            number += 1
        stopped = time.process_time()
        rows.append({"seconds": spent, "steps": number, **clip.measure(training.trained({}), scene)})
        print(field, json.dumps({k: round(v, 4) for k, v in rows[-1].items()}), flush=True)
        away += time.process_time() - stopped
    return rows


def plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """One panel for each number."""
    figure, panels = plt.subplots(1, len(NAMES), figsize=(10, 3), constrained_layout=True)
    for panel, (name, title) in zip(panels, NAMES.items(), strict=True):
        for field, rows in curves.items():
            panel.plot([row["seconds"] for row in rows], [row[name] for row in rows], marker="o", label=field)
        panel.set(xlabel="CPU seconds of training", title=title, xlim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", type=Path)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prepared", type=Path, help="a finished prepare stage of demo-en")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    clip = Clip(asked.prepared)
    curves: dict[str, list[dict[str, float]]] = {}
    for field in FIELDS:
        curves[field] = curve(clip, field, asked.seconds, asked.seed)
        asked.figure.with_suffix(".json").write_text(json.dumps(curves, indent=1))
    plot(curves, asked.figure)


if __name__ == "__main__":
    main()
