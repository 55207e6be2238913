"""Scoring one video outside any run: a plan of score nodes on given files, run here in a temporary folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import LipbenchError, MediaError, WeightsMissing
from lipbench.engine import preflight, stages
from lipbench.engine.config import RunFile, parse_run_file
from lipbench.engine.index import version_of
from lipbench.engine.pairing import Pairing
from lipbench.engine.preflight import Obstacle
from lipbench.engine.recipe import UsedRecipe, conventions
from lipbench.engine.rows import Measured, families
from lipbench.engine.score_files import Given
from lipbench.engine.score_node import TRACKS, File
from lipbench.engine.score_offset import asks_for_own, at_own, own_offset_of
from lipbench.engine.score_pass import run_families, step
from lipbench.engine.score_progress import ScoreProgress
from lipbench.engine.short_clips import shortened
from lipbench.engine.tasks import FacesTask
from lipbench.faces.track import FaceTrack

#: What is measured where nothing is named: what a run measures, and the sync model that the package carries.
EVERYTHING = ("*", "landmark-sync")


def score_video(
    video: Path,
    *,
    reference: Path | None = None,
    truth: Path | None = None,
    audio: Path | None = None,
    metrics: Sequence[str | Mapping[str, Any]] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    recipe: str | None = None,
    sync_model: str | None = None,
    protocol: str | None = None,
    faces: str = "mediapipe-face",
    face: str | None = None,
    fps: float = 25.0,
    align: bool = False,
    channel: str | None = None,
    resize: bool = False,
    progress: ScoreProgress | None = None,
    say: Callable[[Sequence[Obstacle]], None] | None = None,
) -> dict[str, Any]:
    """Measure a video.

    Everything is brought to `fps` first (`engine.pairing`). A reference or truth whose length differs by more than a
    frame is laid over the audio like a clip under a dub (cut, or played back and forth), and that is remarked, as are
    rates that differ, frames lost or added at the start, interlaced files and color tags that differ.

    Args:
        video: a file, or FILE:a:N for one of its sounds; a folder of numbered pictures or a pattern of them.
        reference: as `video`, for its picture.
        truth: as `video`, for its picture.
        audio: a file, or FILE:a:N; the video's own sound when left out.
        fps: rate of the comparison, and of pictures.
        metrics: entries as in a run file: ids, glob patterns, {"id": ..., "params": {...}}; `EVERYTHING` when empty.
        options: family -> values of its options, for families that are measured.
        recipe: measure as a paper's script does (`metrics.recipes`), in place of `metrics`; options given here win.
        sync_model: option of the family sync, as in a run file.
        protocol: option of the family sync, as in a run file.
        face: which face where there are several: "left", "right", "largest" or "X,Y", a place in it; by default the
            one whose mouth moves with the sound where that is clear, else the largest.
        align: measure at the shift of up to 5 frames that fits, in families that have this option.
        channel: the one channel of the sound that is used, such as "center"; all are mixed when left out.
        resize: scale the video to the size of the reference (or truth) first; `resized` in the result says so.
        progress: hears which step runs and how far it is; entered by the caller.
        say: takes what cannot be measured and why, before anything is.

    Returns:
        {"video", "sync_model", "protocol", "obstacles", "remarks", "timing": {"reference": {"rates", "grid"}},
        "metrics": {id: {"value", "reason", "n_valid", "n_total", "version", "extra"}}}; a value that cannot be had is
        None with its reason, +inf is the string "inf". "conventions" and "options" tell how each was measured. With a
        recipe, "recipe" tells it and what its script would print. With `resize`, "resized": {"from", "to"} where sizes
        differed. With a reference whose face and own sound are known, "own_offset": {"frames", "confidence", "why"}
        where something measured asks for it.

    Raises:
        MediaError: `video`, or a file given beside it, cannot be read.
        UnknownName: no such metric.
        UsageError: wrong options, or a recipe beside metrics.
        WeightsMissing: none of the metrics that were asked for can be measured here.
    """
    request: dict[str, Any] = {"manifest": "-", "methods": ["dubbed"], "metrics": list(metrics or EVERYTHING)}
    sync_fields = {n: v for n, v in (("sync_model", sync_model), ("protocol", protocol)) if v is not None}
    used = None if recipe is None else UsedRecipe.of(recipe, metrics, options or {}, sync_fields)
    if used is not None:
        request["metrics"], options = list(used.recipe.metrics), used.options
    request |= sync_fields
    config = parse_run_file(request, "score")
    measured = families(config, options or {})
    if align:
        measured = [
            (f, {**own, "align": True}) if "align" in f.options.model_fields else (f, own) for f, own in measured
        ]
    remarks: list[str] = []
    progress = progress or ScoreProgress()
    with tempfile.TemporaryDirectory(prefix="lipbench-score-") as folder:
        work = Path(folder)
        by_number = used is not None and used.recipe.frames == "by number"
        given = Given(video, audio, channel, fps, work, remarks, by_number)
        chosen = {*config.sync, *(options or {}).get("sync", {}), *({"min_track"} if used else ())}
        measured, short = shortened(measured, chosen, media.probe(given.picture).duration_s)
        obstacles = _foreseen(given.picture, config, measured, faces, truth is not None)
        if say is not None:
            say(obstacles)
        blocked = {name for one in obstacles for name in one.metrics}
        possible = [(f, own) for f, own in measured if any(m.id not in blocked for m in f.metrics)]
        others = {n: p and given.as_file(p, n) for n, p in (("reference", reference), ("truth", truth))}
        if resize:
            given.resize(others)
        spoken = others["reference"]
        if by_number:
            others = given.pair_by_number(others)
        needs = frozenset().union(*(family.needs(options) for family, options in possible))
        samples = given.sound("audio" in needs)
        size = media.probe(given.picture)
        tracked = [name for name in TRACKS if name in needs and (name != "truth_faces" or truth)]
        progress.expect(measured, size, sum(path is not None for path in others.values()), tracked)
        with step(progress, "videos"):
            pairing = Pairing(given.picture, fps, work, remarks)
            inputs = _inputs(pairing, others, samples)
        if samples is not None and "sound" in needs:
            inputs["sound"] = File(given.sound_as_it_is())
        sound = _said(spoken, inputs["audio"].file, work)
        inputs |= _tracks(
            inputs,
            needs,
            FacesTask(video=given.picture, backend=faces, fps=fps, face=face, sound=sound),
            work,
            progress,
            remarks,
        )
        asks = any(asks_for_own(family) for family, _ in measured)
        own = own_offset_of(spoken, inputs.get("faces"), sound, remarks) if asks else None
        if own is not None and own.frames is not None:
            measured = [(family, at_own(family, chosen, own.frames)) for family, chosen in measured]
        scores = run_families(measured, inputs, given.file.name, pairing, progress)
    remarks += lifted(scores.values())
    if short and scores["lse_d"].get("value") is not None:
        remarks.append(short)
    shown = {
        m.id: {**scores[m.id], "version": version_of(m, family, options)}
        for family, options in measured
        for m in family.metrics
        if config.asks(family.id, m.id)
    }
    if used is not None and reference is None and any("no_reference" in (s["reason"] or "") for s in shown.values()):
        remarks.append(f"{recipe} compares with the undubbed source: give it with --reference")
    sync = next((options for family, options in measured if family.id == "sync"), {})
    return {
        "video": str(video),
        "sha256": media.digest(given.file),
        "sync_model": sync.get("sync_model", config.sync_model),
        "protocol": sync.get("protocol", config.protocol),
        "metrics": shown,
        "timing": pairing.timing,
        "conventions": conventions(measured, shown),
        "options": {family.id: options for family, options in measured},
        "obstacles": [one.as_json() for one in obstacles],
        "remarks": remarks,
        **({} if own is None else {"own_offset": own.as_json()}),
        **({"recipe": used.as_json(shown)} if used else {}),
        **({"resized": given.resized} if given.resized else {}),
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


def _inputs(pairing: Pairing, others: Mapping[str, Path | None], samples: Any) -> dict[str, File]:
    """The prediction, the videos that it is compared to and the sound, all at one rate."""
    found: dict[str, Path | None] = {"prediction": pairing.path}
    found["audio"] = None if samples is None else media.write_wav(pairing.work / "audio.wav", samples)
    found |= {name: None if path is None else pairing.beside(path, name) for name, path in others.items()}
    return {name: File(path) for name, path in found.items()}


def _tracks(
    inputs: Mapping[str, File],
    needs: frozenset[str],
    task: FacesTask,
    work: Path,
    progress: ScoreProgress,
    remarks: list[str],
) -> dict[str, File]:
    """The face tracks that the metrics need. Without a reference the video's own face gives the regions.

    A picture is searched once, however many of the files show it.

    Args:
        task: how to search; its sound is what is said in the video that gives the regions.
    """
    videos = {
        "faces": inputs["reference"].file or inputs["prediction"].file,
        "prediction_faces": inputs["prediction"].file,
        "truth_faces": inputs["truth"].file,
    }
    tracks = {}
    found: dict[str, File] = {}
    for name in TRACKS:
        path = videos[name]
        if name not in needs or path is None:
            continue
        picture = media.image_sha256(path)
        with step(progress, name):
            if picture not in found:
                heard = task.sound if task.face is None else None
                found[picture], info = _faces(replace(task, video=path, sound=heard), work / name)
        tracks[name] = found[picture]
        if name == "faces" and (track := found[picture].file) is not None:
            tracks["index"] = File(_index(work / "index.json", inputs["prediction"].file, len(FaceTrack.load(track))))
            if info["who"]:
                remarks.append(f"{info['who']}; --face names another")
                # The same in the other videos.
                task = replace(task, face=task.face or "{:.1f},{:.1f}".format(*_middle(info["mean_box"])))
    return tracks


def _faces(task: FacesTask, out: Path) -> tuple[File, Mapping[str, Any]]:
    """The face track of a video, or why there is none, and what is known of it."""
    out.mkdir()
    try:
        made, info, _ = stages.run_faces(task, out)
        return File(made["faces"]), info
    except LipbenchError as error:
        return File(None, f"{error.reason}: {error.one_line()}"), {}


def _middle(box: Sequence[float]) -> tuple[float, float]:
    return max((box[0] + box[2]) / 2, 1), max((box[1] + box[3]) / 2, 1)


def _index(target: Path, prediction: Path | None, n_track: int) -> Path:
    """Frame of the track for every frame of the prediction: a reference may be a frame longer or shorter."""
    assert prediction is not None
    n_frames = media.probe(prediction).n_frames
    target.write_text(json.dumps([min(t, n_track - 1) for t in range(n_frames)]))
    return target


def lifted(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """The remarks that scores carry, each once: of those that say the same the one that says most."""
    found: dict[str, str] = {}
    for remark in (remark for score in scores for remark in score["extra"].get("remarks", ())):
        found[remark["short"]] = max(found.get(remark["short"], ""), remark["text"], key=len)
    return list(found.values())


def _said(reference: Path | None, audio: Path | None, work: Path) -> Path | None:
    """The sound of the video that the regions come from: the reference's own, else what the video is scored with."""
    if reference is None:
        return audio
    try:
        return media.write_wav(work / "reference.wav", media.read_audio(reference))
    except MediaError:  # a silent source: nobody is known to speak
        return None
