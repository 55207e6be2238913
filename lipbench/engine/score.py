"""Scoring one video outside any run: a plan of score nodes on given files, run here in a temporary folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import LipbenchError, MediaError, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.core.store import Store
from lipbench.engine import preflight, stages
from lipbench.engine.config import RunFile, parse_run_file
from lipbench.engine.plan import Plan, PlanState
from lipbench.engine.preflight import Obstacle
from lipbench.engine.rows import Measured, families
from lipbench.engine.score_node import TRACKS, File, Source, score_node
from lipbench.engine.tasks import FacesTask


def score_video(
    video: Path,
    *,
    reference: Path | None = None,
    truth: Path | None = None,
    audio: Path | None = None,
    metrics: Sequence[str | Mapping[str, Any]] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    sync_model: str | None = None,
    protocol: str | None = None,
    faces: str = "mediapipe-face",
    face: str | None = None,
    fps: float = 25.0,
    say: Callable[[Sequence[Obstacle]], None] | None = None,
) -> dict[str, Any]:
    """Measure a video.

    Everything is brought to `fps` first. A reference or truth whose length differs by more than a frame is laid over
    the audio like a clip under a dub (cut, or played back and forth), and that is remarked.

    Args:
        metrics: entries as in a run file: ids, glob patterns, {"id": ..., "params": {...}}; all when empty.
        options: family -> values of its options, for families that are measured.
        sync_model: option of the family sync, as in a run file.
        protocol: option of the family sync, as in a run file.
        face: which face where there are several: "left", "right", "largest" or "X,Y", a place in it; by default the
            one whose mouth moves with the sound where that is clear, else the largest.
        say: takes what cannot be measured and why, before anything is.

    Returns:
        {"video", "sync_model", "protocol", "obstacles", "remarks", "metrics": {id: {"value", "reason", "n_valid",
        "n_total",
        "version", "extra"}}}; a value that cannot be had is None with its reason, +inf is the string "inf".

    Raises:
        MediaError: `video`, or a file given beside it, cannot be read.
        UnknownName: no such metric.
        UsageError: wrong options.
        WeightsMissing: none of the metrics that were asked for can be measured here.
    """
    request: dict[str, Any] = {"manifest": "-", "methods": ["dubbed"], "metrics": list(metrics)}
    request |= {
        name: value for name, value in (("sync_model", sync_model), ("protocol", protocol)) if value is not None
    }
    config = parse_run_file(request, "score")
    measured = families(config, options or {})
    obstacles = _foreseen(video, config, measured, faces, truth is not None)
    if say is not None:
        say(obstacles)
    blocked = {name for one in obstacles for name in one.metrics}
    remarks: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lipbench-score-") as folder:
        work = Path(folder)
        inputs = _inputs(video, {"reference": reference, "truth": truth}, audio, fps, work, remarks)
        possible = [(f, own) for f, own in measured if any(m.id not in blocked for m in f.metrics)]
        needs = frozenset().union(*(family.needs(options) for family, options in possible))
        sound = _said(reference, inputs["audio"].file, work)
        inputs |= _tracks(inputs, needs, faces, fps, work, face, sound, remarks)
        scores = _run(measured, inputs, video.name, fps, work)
    shown = {m.id: scores[m.id] for family, _ in measured for m in family.metrics if config.asks(family.id, m.id)}
    sync = next((options for family, options in measured if family.id == "sync"), {})
    return {
        "video": str(video),
        "sha256": sha256_file(video),
        "sync_model": sync.get("sync_model", config.sync_model),
        "protocol": sync.get("protocol", config.protocol),
        "metrics": shown,
        "obstacles": [one.as_json() for one in obstacles],
        "remarks": remarks,
    }


def _foreseen(
    video: Path, config: RunFile, measured: Sequence[Measured], faces: str, has_truth: bool
) -> list[Obstacle]:
    """What keeps metrics that were asked for from being measured.

    Raises:
        WeightsMissing: it keeps all of them.
    """
    specs = {m.id: m for family, _ in measured for m in family.metrics if config.asks(family.id, m.id)}
    seconds = media.probe(video).duration_s  # first: a file that is not there is the worse news
    asked = [name for name, spec in specs.items() if has_truth or not spec.needs & {"truth", "truth_faces"}]
    obstacles = preflight.of_metrics(measured, asked, faces)
    if asked and {name for one in obstacles for name in one.metrics} >= set(asked):
        told = preflight.lines(obstacles)
        why = "; ".join(told[: len(obstacles)])
        raise WeightsMissing(
            f"nothing that was asked for can be measured of {video}", why, "; ".join(told[len(obstacles) :])
        )
    return obstacles + preflight.of_length(measured, asked, {video.name: seconds})


def _inputs(
    video: Path, others: Mapping[str, Path | None], audio: Path | None, fps: float, work: Path, remarks: list[str]
) -> dict[str, File]:
    """The prediction, the videos that it is compared to and the sound, all at one rate."""
    prediction = _upright(video, work / "prediction.mp4", fps)
    n_frames = media.probe(prediction).n_frames
    samples = media.read_audio(audio) if audio is not None else _own_sound(video, remarks)
    found: dict[str, Path | None] = {"prediction": prediction}
    found["audio"] = None if samples is None else media.write_wav(work / "audio.wav", samples)
    for name, path in others.items():
        found[name] = None if path is None else _aligned(path, work / f"{name}.mp4", fps, n_frames, name, remarks)
    return {name: File(path) for name, path in found.items()}


def _tracks(
    inputs: Mapping[str, File],
    needs: frozenset[str],
    faces: str,
    fps: float,
    work: Path,
    face: str | None,
    sound: Path | None,
    remarks: list[str],
) -> dict[str, File]:
    """The face tracks that the metrics need. Without a reference the video's own face gives the regions.

    Args:
        face: which face is meant.
        sound: what is said in the video that gives the regions.
    """
    videos = {
        "faces": inputs["reference"].file or inputs["prediction"].file,
        "prediction_faces": inputs["prediction"].file,
        "truth_faces": inputs["truth"].file,
    }
    tracks = {}
    for name in TRACKS:
        path, out = videos[name], work / name
        if name not in needs or path is None:
            continue
        out.mkdir()
        task = FacesTask(video=path, backend=faces, fps=fps, face=face, sound=sound if face is None else None)
        try:
            made, info, _ = stages.run_faces(task, out)
            tracks[name] = File(made["faces"])
            if name == "faces":
                tracks["index"] = File(_index(work / "index.json", inputs["prediction"].file, info["n_frames"]))
                if info["who"]:
                    remarks.append(f"{info['who']}; --face names another")
                    face = face or "{:.1f},{:.1f}".format(*_middle(info["mean_box"]))  # the same in the other videos
        except LipbenchError as error:
            tracks[name] = File(None, f"{error.reason}: {error.one_line()}")
    return tracks


def _middle(box: Sequence[float]) -> tuple[float, float]:
    return max((box[0] + box[2]) / 2, 1), max((box[1] + box[3]) / 2, 1)


def _index(target: Path, prediction: Path | None, n_track: int) -> Path:
    """Frame of the track for every frame of the prediction: a reference may be a frame longer or shorter."""
    assert prediction is not None
    n_frames = media.probe(prediction).n_frames
    target.write_text(json.dumps([min(t, n_track - 1) for t in range(n_frames)]))
    return target


def _run(
    measured: Sequence[Measured], inputs: Mapping[str, Source], of: str, fps: float, work: Path
) -> dict[str, dict[str, Any]]:
    """Scores by metric id: a plan of one node for each family, run here."""
    nodes = [score_node(family, options, of, fps, inputs) for family, options in measured]
    progress = PlanState(Plan([], {node.id: node for node in nodes}), Store(work / "store"))
    scores: dict[str, dict[str, Any]] = {}
    for i, node in enumerate(nodes):
        out = work / f"score-{i}"
        out.mkdir()
        scores |= stages.execute(node.kind, node.task(progress).to_json(), out, "cpu", 1)[2]
    return scores


def _said(reference: Path | None, audio: Path | None, work: Path) -> Path | None:
    """The sound of the video that the regions come from: the reference's own, else what the video is scored with."""
    if reference is None:
        return audio
    try:
        return media.write_wav(work / "reference.wav", media.read_audio(reference))
    except MediaError:  # a silent source: nobody is known to speak
        return None


def _own_sound(video: Path, remarks: list[str]) -> Any:
    try:
        return media.read_audio(video)
    except MediaError as error:
        remarks.append(error.one_line())
        return None


def _upright(path: Path, target: Path, fps: float) -> Path:
    media.normalize_clip(path, target, fps=fps)
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
    aligned = media.retime_to_audio(upright, silence, laid, target.with_suffix(".wav"), fps=fps)
    remarks.append(f"{name}: {aligned.policy}")
    return laid
