"""Runs one of the evaluation scripts behind a recipe, in its own folder, with stand-ins for what cannot be had.

`tools.compare_recipe` starts it. In place of S3FD stand given boxes, a frame after the other, and of a GPU the CPU;
OpenCV's `split` gives a list again, which scenedetect 0.5.1 writes into. All else is the script's own code.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch

Rows = list[dict[str, float]]


def stand_in(boxes: list[list[list[float]]]) -> None:
    """Put the stand-ins where the scripts import them from.

    Args:
        boxes: of every frame the faces, x1 y1 x2 y2 score, as JSON.
    """
    left: Iterator[list[list[float]]] = iter(boxes)

    class Boxes:
        def __init__(self, device: str) -> None:
            pass

        def detect_faces(self, image: Any, conf_th: float, scales: list[float]) -> Any:
            return np.array(next(left, []), np.float64).reshape(-1, 5)

    split: Callable[..., Any] = cv2.split
    cv2.split = lambda *given: list(split(*given))  # type: ignore[assignment]
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *_: self  # type: ignore[method-assign,assignment]
    for name in ("detectors", "eval.detectors"):
        module = ModuleType(name)
        module.S3FD = Boxes  # type: ignore[attr-defined]
        sys.modules[name] = module
    module = ModuleType("latentsync.utils.util")
    module.red_text = str  # type: ignore[attr-defined]
    module.check_model_and_download = lambda path: None  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module


def _pipeline(video: str, work: Path, min_track: str, *more: str) -> list[Path]:
    sys.argv = ["run_pipeline.py", "--videofile", video, "--reference", "clip", "--data_dir", str(work)]
    sys.argv += ["--min_track", min_track, *more]
    runpy.run_path("run_pipeline.py", run_name="__main__")
    return sorted((work / "pycrop" / "clip").glob("0*.avi"))


def _options(work: Path) -> Namespace:
    return Namespace(batch_size=20, vshift=15, tmp_dir=str(work / "pytmp"), reference="clip")


def syncnet(video: str, model: str, work: Path, min_track: str) -> Rows:
    """run_pipeline.py, then what run_syncnet.py does."""
    crops = _pipeline(video, work, min_track)
    from SyncNetInstance import SyncNetInstance  # type: ignore[import-not-found]

    net, rows = SyncNetInstance(), []
    net.loadParameters(model)
    for crop in crops:
        offset, confidence, distances = net.evaluate(_options(work), videofile=str(crop))
        row = {"AV offset": float(offset), "Min dist": float(distances.mean(axis=0).min())}
        rows.append({**row, "Confidence": float(confidence)})
    return rows


def wav2lip(video: str, model: str, work: Path, min_track: str) -> Rows:
    """run_pipeline.py, then calculate_scores_real_videos.py, its file beside the first."""
    _pipeline(video, work, min_track)
    script = "calculate_scores_real_videos.py"
    sys.argv = [script, "--videofile", video, "--reference", "clip", "--data_dir", str(work), "--initial_model", model]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        runpy.run_path(script, run_name="__main__")
    lines = [line.split() for line in text.getvalue().splitlines()]  # a line for each track
    return [{"LSE-D": float(distance), "LSE-C": float(confidence)} for distance, confidence in lines]


def latentsync(video: str, model: str, work: Path, min_track: str) -> Rows:
    """`syncnet_eval` of eval/eval_sync_conf.py; it takes the mean of the tracks itself, and always 50 frames."""
    from eval.eval_sync_conf import syncnet_eval  # type: ignore[import-not-found]
    from eval.syncnet import SyncNetEval  # type: ignore[import-not-found]
    from eval.syncnet_detect import SyncNetDetector  # type: ignore[import-not-found]

    net, found = SyncNetEval(device="cpu"), str(work / "found")
    net.loadParameters(model)
    detector = SyncNetDetector(device="cpu", detect_results_dir=found)
    offset, confidence = syncnet_eval(net, detector, video, str(work / "temp"), found)
    return [{"SyncNet confidence": float(confidence), "AV offset": float(offset)}]


SCRIPTS = {"syncnet": syncnet, "wav2lip": wav2lip, "latentsync": latentsync}


def main() -> None:
    """Arguments: recipe, video, files of the network and of the boxes, folder to work in, file to write, min_track."""
    recipe, video, model, boxes, work, answer, min_track = sys.argv[1:]
    sys.path.insert(0, ".")
    torch.set_num_threads(1)
    stand_in(json.loads(Path(boxes).read_text()))
    rows = SCRIPTS[recipe](video, model, Path(work), min_track)
    Path(answer).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
