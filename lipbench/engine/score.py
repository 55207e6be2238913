"""Scoring one video outside any run: the same stages, in this process, in a temporary folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import LipbenchError, MediaError
from lipbench.core.keys import sha256_file
from lipbench.engine import stages
from lipbench.engine.config import parse_run_file
from lipbench.engine.rows import families


def score_video(
    video: Path,
    *,
    reference: Path | None = None,
    truth: Path | None = None,
    audio: Path | None = None,
    metrics: Sequence[str] = (),
    judge: str = "syncnet_v2",
    protocol: str = "realvideo",
    faces: str = "mediapipe-face",
    fps: float = 25.0,
) -> dict[str, Any]:
    """Measure a video.

    Everything is brought to `fps` first. A reference or truth whose length differs by more than a frame is laid over
    the audio like a clip under a dub (cut, or played back and forth), and that is remarked.

    Returns:
        {"video", "judge", "protocol", "metrics": {id: {"value", "reason", "n_valid", "n_total", "version", "extra"}},
        "remarks"}; a value that cannot be had is None with its reason, +inf is the string "inf".

    Raises:
        MediaError: `video`, or a file given beside it, cannot be read.
    """
    config = parse_run_file(
        {"manifest": "-", "methods": ["dubbed"], "metrics": list(metrics), "judge": judge, "protocol": protocol},
        "score",
    )
    measured = families(config)
    remarks: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lipbench-score-") as folder:
        work = Path(folder)
        prediction = _upright(video, work / "prediction.mp4", fps)
        n_frames = media.probe(prediction).n_frames
        wav = work / "audio.wav"
        samples = media.read_audio(audio) if audio is not None else _own_sound(video, remarks)
        if samples is not None:
            media.write_wav(wav, samples)
        others: dict[str, Path | None] = {"reference": None, "truth": None}
        for name, path in (("reference", reference), ("truth", truth)):
            if path is not None:
                others[name] = _aligned(path, work / f"{name}.mp4", fps, n_frames, name, remarks)
        (work / "index.json").write_text(json.dumps(list(range(n_frames))))
        tracks: dict[str, Path] = {}
        reasons: dict[str, str] = {}
        needs = {need for family, _ in measured for metric in family.metrics for need in metric.needs}
        # Without a reference the judged video's own face gives the regions.
        videos = {
            "faces": others["reference"] or prediction,
            "prediction_faces": prediction,
            "truth_faces": others["truth"],
        }
        for name, path in videos.items():
            if name not in needs or path is None:
                continue
            try:
                out = work / name
                out.mkdir()
                task: dict[str, Any] = {"landmarks": None, "video": str(path), "backend": faces, "fps": fps}
                tracks[name] = stages.run_faces(task, out)[0]["faces"]
            except LipbenchError as error:
                reasons[name] = f"{error.reason}: {error.one_line()}"
        scores: dict[str, Any] = {}
        for family, options in measured:
            out = work / f"score-{family.id}"
            out.mkdir()
            task = {
                "family": family.id,
                "options": options,
                "prediction": str(prediction),
                "fps": fps,
                "reference": _text(others["reference"]),
                "truth": _text(others["truth"]),
                "audio": str(wav) if samples is not None else None,
                "index": str(work / "index.json"),
                "faces": _text(tracks.get("faces")),
                "faces_reason": reasons.get("faces", ""),
                "prediction_faces_reason": reasons.get("prediction_faces", ""),
                "truth_faces": _text(tracks.get("truth_faces")),
                "truth_faces_reason": reasons.get("truth_faces", ""),
                "prediction_faces": _text(tracks.get("prediction_faces")),
                "annotations": None,
                "mesh": None,
            }
            scores |= stages.run_score(task, out, "cpu", 1)[2]
    asked = {m.id for family, _ in measured for m in family.metrics if {m.id, family.id} & set(metrics)}
    shown = {k: v for k, v in scores.items() if not metrics or k in asked}
    return {
        "video": str(video),
        "sha256": sha256_file(video),
        "judge": judge,
        "protocol": protocol,
        "metrics": shown,
        "remarks": remarks,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _own_sound(video: Path, remarks: list[str]) -> Any:
    try:
        return media.read_audio(video)
    except MediaError as error:
        remarks.append(error.one_line())
        return None


def _upright(path: Path, target: Path, fps: float) -> Path:
    media.normalise_clip(path, target, fps=fps)
    return target


def _aligned(path: Path, target: Path, fps: float, n_frames: int, name: str, remarks: list[str]) -> Path:
    """A reference or truth with as many frames as the prediction."""
    import numpy as np

    upright = _upright(path, target, fps)
    own = media.probe(upright).n_frames
    if abs(own - n_frames) <= 1:
        return upright
    laid = target.with_name(f"laid-{target.name}")
    silence = np.zeros(round(n_frames * 16000 / fps), np.int16)
    overlay = media.lay_over(upright, silence, laid, target.with_suffix(".wav"), fps=fps)
    remarks.append(f"{name}: {overlay.policy}")
    return laid
