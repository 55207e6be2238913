"""What each kind of stage does. Runs inside a worker; knows files, not plans.

Every function takes the stage's task and its empty `out` folder, and returns (outputs: name -> path, info, scores).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.devices import choose_device
from lipbench.core.errors import LipbenchError, ManifestError, MediaError, NoAudio, TooShort
from lipbench.core.method import ClipInput, DubInput, DubJob, FitJob, Outputs, PrepareJob
from lipbench.datasets.dub_sound import DubSound, shift
from lipbench.engine.score_stage import run_score
from lipbench.engine.tasks import (
    ClipTask,
    DubTask,
    FacesTask,
    FitTask,
    PrepareTask,
    Result,
    ScoreTask,
    SynthesizeTask,
    from_json,
)


def run_clip(task: ClipTask, out: Path) -> Result:
    """Normalize a clip: constant fps, upright, trimmed; no pixel of it changes, here or later."""
    source = task.video
    check_digest(source, task.sha256)
    video = out / "video.mp4"
    if task.segments:
        return _run_segments(task, out)
    span: dict[str, Any] = {"start_s": task.start_s, "end_s": task.end_s}
    remarks: list[str] = []
    outputs = {"video": video}
    choice: media.SoundChoice | bool = False
    try:
        # From the source file: the copy in video.mp4 goes through AAC.
        track = media.load_audio(source, choice=media.SoundChoice(task.stream, task.channel, task.language), **span)
    except NoAudio:
        pass
    except TooShort as error:
        remarks.append(error.one_line())
    else:
        choice = track.choice
        outputs["audio"] = media.write_wav(out / "audio.wav", track.samples)
        remarks += [f"the clip's own sound: {text}" for text in said_of(track)]
    made = media.normalize_clip(source, video, fps=task.fps, sound=choice, picture_fps=task.picture_fps, **span)
    info = _clip_facts(made, task.fps, remarks)
    (out / "clip.json").write_text(json.dumps(info))
    return outputs, info, {}


def _clip_facts(made: media.NormalizedClip, fps: float, remarks: list[str]) -> dict[str, Any]:
    """What clip.json and the record say of a normalized clip."""
    info = {
        "n_frames": made.n_frames,
        "width": made.width,
        "height": made.height,
        "fps": fps,
        "source_fps": float(made.source_fps),
        "vfr": made.vfr,
        "rotation": made.rotation,
        "pix_fmt": made.pix_fmt,
        "interlaced_frames": made.interlaced,
    }
    return {**info, "remarks": remarks} if remarks else info


def _run_segments(task: ClipTask, out: Path) -> Result:
    """As `run_clip`, of a clip that is put together from segments; clip.json names its cuts."""
    from lipbench.media.segments import join_segments

    choice = media.SoundChoice(task.stream, task.channel, task.language)
    outputs = {"video": out / "video.mp4"}
    made = join_segments(
        task.video, outputs["video"], task.segments, fps=task.fps, sound=choice, picture_fps=task.picture_fps
    )
    remarks: list[str] = []
    if made.sound is not None:
        outputs["audio"] = media.write_wav(out / "audio.wav", made.sound.samples)
        remarks = [f"the clip's own sound: {text}" for text in said_of(made.sound)]
    info = {**_clip_facts(made.clip, task.fps, remarks), "cuts": list(made.cuts)}
    (out / "clip.json").write_text(json.dumps(info))
    return outputs, info, {}


def said_of(track: media.AudioTrack) -> list[str]:
    """What a record says of a sound: which one it is, where that was not plain, and whether it is one."""
    silent = media.silence(track.samples)
    return [*track.remarks, *([f"silent: {silent}"] if silent else [])]


def run_dub(task: DubTask, out: Path) -> Result:
    """Lay a dub over its clip: the frames that every method starts from, and the reference it is measured against."""
    remarks: list[str] = []
    if task.audio is None:  # the original dub
        if task.clip_audio is None:
            raise NoAudio("the clip has no sound of its own", "so there is no original dub", "leave `original` out")
        samples = shift(media.read_audio(task.clip_audio), task.offset_s)
    else:
        check_digest(task.audio, task.sha256)
        sound = DubSound(
            task.audio,
            media.SoundChoice(task.stream, task.channel, task.language),
            task.offset_s,
            task.start_s,
            task.end_s,
            task.rate,
            task.clip_start_s,
            task.clip_end_s,
            task.segments,
            task.fps,
        )
        track = sound.read(media.probe(task.clip_video).duration_s)
        samples, remarks = track.samples, said_of(track)
    video, wav = out / "video.mp4", out / "audio.wav"
    aligned = media.retime_to_audio(task.clip_video, samples, video, wav, fps=task.fps)
    (out / "index.json").write_text(json.dumps(list(aligned.index)))
    outputs = {"video": video, "audio": wav, "index": out / "index.json"}
    info: dict[str, Any] = {"n_frames": len(aligned.index), "policy": aligned.policy, "offset_s": task.offset_s}
    if remarks:
        info["remarks"] = remarks
    if task.truth is not None:
        check_digest(task.truth, task.truth_sha256)
        upright = out / "truth-clip.mp4"
        media.normalize_clip(task.truth, upright, fps=task.fps, sound=False)
        truth = media.retime_to_audio(upright, samples, out / "truth.mp4", out / "truth.wav", fps=task.fps)
        upright.unlink()
        (out / "truth.wav").unlink()
        if truth.policy != aligned.policy:
            info["truth_policy"] = truth.policy
        outputs["truth"] = out / "truth.mp4"
    return outputs, info, {}


def check_digest(path: Path, expected: str | None) -> None:
    """Refuse a file that is not the one the manifest names.

    No record keeps either error: a key holds what the file should be, and the file may be put right.

    Raises:
        MediaError: missing.
        ManifestError: another content.
    """
    if not media.present(path):
        why, fix = "the manifest names it", "put it there or correct the manifest"
        raise MediaError(f"{path} is missing", why, fix, kept=False)
    if expected and (found := media.digest(path)) != expected:
        raise ManifestError(
            f"{path} is not the file the manifest names",
            f"its SHA-256 is {found[:16]}..., the manifest says {expected[:16]}...",
            "restore the file, or write the new hash (and a new version) into the manifest",
            kept=False,
        )


def run_faces(task: FacesTask, out: Path) -> Result:
    """Find and track the main face of a video, or read it from a landmark file."""
    from lipbench.faces import track_faces

    source = task.landmarks if task.landmarks is not None else task.video
    info = media.probe(task.video)
    from_file: dict[str, Any] = (
        {"size": (info.width, info.height), "n_frames": info.n_frames} if task.landmarks is not None else {}
    )
    chosen: dict[str, Any] = {}
    if task.landmarks is None:
        chosen = {"face": task.face, "sound": None if task.sound is None else media.read_audio(task.sound)}
        if task.sound is not None and task.backend == "mediapipe-face":  # the one backend that chooses by sound
            from lipbench.metrics.sync.landmark.speaker import speaker

            chosen["speaker"] = speaker
    track = track_faces(Path(source), backend=task.backend, fps=task.fps, **from_file, **chosen)
    path = track.save(out / "faces.npz")
    found = int(track.found.sum())
    facts = {
        "backend": track.backend,
        "n_frames": len(track),
        "found": found,
        "lost_frames": track.lost_frames[:200],
        "frames_with_several_faces": int((track.n_faces > 1).sum()),
        "mean_box": None if track.mean_box is None else [round(v, 1) for v in track.mean_box],
        "who": track.who(),
        "cuts": list(track.cuts),
    }
    return {"faces": path}, facts, {}


def run_method(task: PrepareTask, out: Path, device: str, threads: int) -> Result:
    """prepare, fit or synthesize of a method."""
    from lipbench.engine.rows import load_method

    method = load_method(task.method)
    device = device if method.own_environment else choose_device(device)
    params = method.spec.params.model_validate(task.method["params"])
    clip_dir = task.clip
    facts = json.loads((clip_dir / "clip.json").read_text())
    audio = clip_dir / "audio.wav"
    clip = ClipInput(
        id=task.clip_id,
        video=clip_dir / "video.mp4",
        audio=audio if audio.exists() else None,
        fps=facts["fps"],
        n_frames=facts["n_frames"],
        width=facts["width"],
        height=facts["height"],
        language=task.clip_language,
        faces=task.faces,
        annotations=task.annotations,
        cuts=tuple(facts.get("cuts", ())),
        speaker=task.clip_speaker,
    )
    common: dict[str, Any] = {
        "out": out,
        "clip": clip,
        "params": params,
        "seed": task.seed,
        "train_seconds": task.train_seconds,
        "device": device,
        "threads": threads,
        "log": lambda line: print(line, flush=True),
    }
    if isinstance(task, SynthesizeTask):
        dub = _dub(task)
        made = method.synthesize(
            DubJob(
                **common,
                dub=dub,
                prepare_folder=task.prepare_folder,
                fit_folder=task.fit_folder,
                driver_video=task.driver,
            )
        )
        return dict(made.files), {**made.info, **accept(made, dub, facts)}, {}
    if isinstance(task, FitTask):
        made = method.fit(FitJob(**common, prepare_folder=task.prepare_folder))
    else:
        made = method.prepare(PrepareJob(**common))
    return dict(made.files), dict(made.info), {}


def _dub(task: SynthesizeTask) -> DubInput:
    """The dub of a synthesize task."""
    folder = task.dub
    index = tuple(json.loads((folder / "index.json").read_text()))
    truth = folder / "truth.mp4"
    return DubInput(
        id=task.dub_id,
        language=task.dub_language,
        video=folder / "video.mp4",
        audio=folder / "audio.wav",
        index=index,
        n_frames=len(index),
        truth=truth if truth.exists() else None,
        transcript=task.transcript,
        truth_annotations=task.truth_annotations,
    )


def accept(made: Outputs, dub: DubInput, clip: Mapping[str, Any]) -> dict[str, Any]:
    """Check a synthesized video against what was asked for.

    Raises:
        LipbenchError: no video, undecodable, another length, size or rate, or mute; reason "bad_output".
    """
    fix = "this is a fault of the method (or its adapter), not of the input"
    if "video" not in made.files or not made.files["video"].exists():
        raise LipbenchError("the method made no video", "its outputs name none", fix, reason="bad_output")
    info = media.probe(made.files["video"])
    wanted: dict[str, Any] = {
        "frames": dub.n_frames,
        "size": (clip["width"], clip["height"]),
        "fps": float(clip["fps"]),
    }
    got: dict[str, Any] = {"frames": info.n_frames, "size": (info.width, info.height), "fps": float(info.fps)}
    same = abs(got["frames"] - wanted["frames"]) <= 1 and got["size"] == wanted["size"]
    if not same or abs(got["fps"] - wanted["fps"]) > 1e-3:
        raise LipbenchError(
            "the method's video is not what was asked for", f"wanted {wanted}, got {got}", fix, reason="bad_output"
        )
    if info.audio is None:
        raise LipbenchError("the method's video has no sound", "the dub must be muxed", fix, reason="bad_output")
    return {"frames": info.n_frames}


def execute(kind: str, data: Mapping[str, Any], out: Path, device: str, threads: int) -> Result:
    """Run one stage; used by every executor.

    Args:
        data: the task as JSON.
    """
    task = from_json(kind, data)
    if isinstance(task, PrepareTask):
        return run_method(task, out, device, threads)
    if isinstance(task, ScoreTask):
        return run_score(task, out, device, threads)
    if isinstance(task, ClipTask):
        return run_clip(task, out)
    if isinstance(task, DubTask):
        return run_dub(task, out)
    if isinstance(task, FacesTask):
        return run_faces(task, out)
    raise TypeError(f"no stage runs a {type(task).__name__}")
