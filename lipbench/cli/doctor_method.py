"""The conformance run: one method on a clip of about a second, and what is checked on its answer."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.cli.doctor_check import Check
from lipbench.cli.doctor_external import external_needs, frame_count
from lipbench.core import keys, weights
from lipbench.core.devices import asked_device
from lipbench.core.errors import LipbenchError
from lipbench.core.store import Record
from lipbench.datasets.types import Clip, Dub, Manifest
from lipbench.engine import api
from lipbench.faces.track import FaceTrack

FRAMES = 30
RATE = 16000
LIKE_THE_DUB = 0.9  # correlation of the video's sound with the dub; AAC at its usual rate stays above 0.97
SAME_MOUTH = 1.0  # of 255, mean difference around the mouth: below it nothing was lip-synced


def tiny(folder: Path, frames: int = FRAMES) -> Manifest:
    """The beginning of a packaged clip with its dub in another language: video, sound and landmarks cut to `frames`."""
    from lipbench.datasets.manifest import resolve

    demo = resolve("demo")
    clip = demo.clips[0]
    dub = next(d for d in demo.dubs_of(clip.id) if d.kind != "original" and d.audio is not None)
    fps = clip.fps or 25.0
    folder.mkdir(parents=True, exist_ok=True)
    video = Path(shutil.copyfile(clip.video, folder / "clip.mp4"))
    assert dub.audio is not None
    wav = media.write_wav(folder / "dub.wav", media.read_audio(dub.audio)[: round(frames / fps * RATE)])
    landmarks = None
    if clip.landmarks is not None:
        landmarks = FaceTrack.load(clip.landmarks).take(range(frames)).save(folder / "faces.npz")  # type: ignore[arg-type]
    truth = {
        tag: Path(shutil.copyfile(f, folder / f"truth_{tag}.mp4"))
        for tag, f in clip.truth.items()
        if tag == dub.language
    }
    notes = {
        tag: Path(shutil.copyfile(f, folder / f"truth_{tag}.npz"))
        for tag, f in clip.truth_annotations.items()
        if tag == dub.language
    }
    own = None if clip.annotations is None else Path(shutil.copyfile(clip.annotations, folder / "annotations.npz"))
    small: Clip = replace(
        clip,
        id="tiny",
        video=video,
        sha256=keys.sha256_file(video),
        start_s=0.0,
        end_s=frames / fps,
        landmarks=landmarks,
        annotations=own,
        truth=truth,
        truth_annotations=notes,
        truth_sha256={tag: keys.sha256_file(f) for tag, f in truth.items()},
    )
    laid: Dub = replace(
        dub, id=f"tiny/{dub.language}", clip_id="tiny", audio=wav, sha256=keys.sha256_file(wav), phonemes=None
    )
    return Manifest("tiny", "0", demo.licence, (small,), (laid,), folder)


def examine(
    method: str,
    params: Mapping[str, Any],
    folder: Path,
    *,
    frames: int = FRAMES,
    seed: int = 0,
    train_seconds: float | None = None,
    faces: str = "mediapipe-face",
) -> list[Check]:
    """Run a method three times on the tiny clip and look at what came out.

    Args:
        method: a registered id, or a method file.
        folder: empty; holds the tiny clip and the run afterwards.

    Raises:
        UsageError: no such method, or wrong parameters.
    """
    entry = {"file": str(Path(method).resolve())} if method.endswith((".yaml", ".yml")) else {"id": method}
    config = {
        "name": "doctor",
        "manifest": "tiny",
        "methods": [{**entry, "params": dict(params)}],
        "metrics": [],
        "seeds": [seed],
        "train_seconds": [train_seconds],
        "faces": faces,
    }
    manifest = tiny(folder / "clip", frames)

    def run() -> tuple[api.PlannedRun, Any, str]:
        prepared = api.prepare(config, out=folder / "run", manifest=manifest, cache=False)
        made = _without_scores(prepared)
        return prepared, api.execute(prepared, workers=1, quiet=True), made

    prepared = api.prepare(config, out=folder / "run", manifest=manifest, cache=False)
    row = prepared.rows[0]
    found = needs(row.method, row.params)
    if any(check.state in ("missing", "fail") for check in found):
        return found
    prepared, result, made = run()
    record = _record(result, made)
    if record is None or record.status != "ok":
        return [*found, _failed(result, made)]
    seconds = sum(s.record.timing.get("wall_s", 0.0) for s in result.outcome.states.values() if s.record)
    found.append(Check("makes a video", "ok", f"{frames} frames in {seconds:.1f} s"))
    dub = next(s.record for n, s in result.outcome.states.items() if n.startswith("dub ") and s.record)
    video = prepared.store.output(record, "video")
    reference, sound = prepared.store.output(dub, "video"), prepared.store.output(dub, "audio")
    found += answer(video, reference, sound, row.method.spec.kind == "method", manifest.clips[0].landmarks)
    if (located := getattr(row.method, "located", None)) is not None:
        found.append(frame_count(located.definition, record.info, media.probe(reference).n_frames))

    first = folder / "first.mp4"
    shutil.copyfile(video, first)
    # As after a kill in the last stage: what came before it is kept.
    shutil.rmtree(prepared.store.directory(record.key))
    prepared, result, made = run()
    again = _record(result, made)
    if again is None or again.status != "ok":
        return [*found, _failed(result, made)]
    found.append(_same(first, prepared.store.output(again, "video"), row.method))
    redone = sorted(n.split(" ")[0] for n, s in result.outcome.states.items() if s.how == "run")
    resumed = redone == ["synthesize"]
    found.append(
        Check(
            "resumes",
            "ok" if resumed else "fail",
            f"ran again: {', '.join(redone) or 'nothing'}",
            "" if resumed else "a stage's key must depend on its inputs alone",
        )
    )
    _, result, _ = run()
    cached = all(s.how == "cached" for s in result.outcome.states.values())
    found.append(
        Check(
            "is not run twice",
            "ok" if cached else "fail",
            "everything came from the store" if cached else "a finished stage was run again",
            "" if cached else "its key changes between runs",
        )
    )
    return found


def needs(method: Any, params: Any) -> list[Check]:
    """Is everything there that the method needs with these parameters?"""
    located = getattr(method, "located", None)
    if located is not None:
        return external_needs(located)
    found = []
    for name in method.weights(params):
        there = weights.status(name)
        how = "" if there.state == "ok" else weights.entry(name).how
        found.append(Check(f"weights {name}", "ok" if there.state == "ok" else "missing", there.remark, how))
    try:
        method.identity(params, "tiny", "")
    except LipbenchError as error:
        found.append(
            Check("parameters", "missing", f"{error.what}: {error.why}" if error.why else error.what, error.fix)
        )
    if "gpu" in method.needs(params):
        import torch

        if not torch.cuda.is_available() or asked_device() in ("cpu", "mps"):
            found.append(
                Check(
                    "GPU",
                    "missing",
                    "torch sees none, or LIPBENCH_DEVICE names another",
                    "run it on a machine with a GPU",
                )
            )
    return found


def answer(video: Path, reference: Path, sound: Path, is_method: bool, landmarks: Path | None) -> list[Check]:
    """Checks on a video alone: rate, length, size, sound, mark, and that the mouth is not the input's."""
    made, source = media.probe(video), media.probe(reference)
    n = source.n_frames

    def check(what: str, good: bool, detail: str, fix: str = "") -> Check:
        return Check(what, "ok" if good else "fail", detail, "" if good else fix)

    rate, wanted = float(made.fps), float(source.fps)
    found = [
        check("frame rate", abs(rate - wanted) < 1e-3 and not made.vfr, f"{rate:g} fps", f"write {wanted:g} fps"),
        check("frames", abs(made.n_frames - n) <= 1, f"{made.n_frames}, the dub has {n}", "one frame per dub frame"),
        check(
            "size",
            (made.width, made.height) == (source.width, source.height),
            f"{made.width} x {made.height}",
            f"answer at the clip's size, {source.width} x {source.height}",
        ),
    ]
    decoded = sum(1 for _ in media.read_frames(video))
    found.append(check("decodes", decoded == made.n_frames, f"{decoded} frames read", "the file is cut off"))
    if made.audio is None:
        found.append(Check("sound", "fail", "there is none", "mux the dub: media.write_video(..., dub.audio)"))
    else:
        wanted_s = n / wanted
        long = abs(made.audio.duration_s - wanted_s) <= 1 / wanted + 0.05  # an AAC frame more or less
        found.append(
            check("sound length", long, f"{made.audio.duration_s:.2f} s of {wanted_s:.2f} s", "mux the whole dub")
        )
        alike = _correlation(media.read_audio(video), media.read_wav(sound)[0])
        found.append(
            check("sound", alike > LIKE_THE_DUB, f"correlation with the dub {alike:.2f}", "mux the dub unchanged")
        )
    if not is_method:
        return [*found, Check("mouth", "skip", "a control: its mouth may be the input's")]
    found.append(
        check("marked synthetic", media.is_synthetic(video), "metadata tag", "write it with media.VideoWriter")
    )
    if (made.width, made.height) != (source.width, source.height):
        return [*found, Check("mouth", "fail", "cannot be compared at another size")]
    from lipbench.baselines.external.accept import change

    track = FaceTrack.load(landmarks) if landmarks is not None else None
    mean, _ = change(video, reference, track)
    found.append(
        check(
            "mouth",
            mean >= SAME_MOUTH,
            f"differs from the input's by {mean:.1f} of 255 on average",
            "it returns its input",
        )
    )
    return found


def _without_scores(prepared: api.PlannedRun) -> str:
    """Nothing is measured: leave only what the video needs; the name of its stage."""
    plan = prepared.plan
    made = plan.synthesize[plan.cells[0]]
    wanted: set[str] = set()
    queue = [made]
    while queue:
        node = plan.nodes[queue.pop()]
        wanted.add(node.id)
        queue += [n for n in node.needs if n not in wanted]
    plan.nodes = {name: node for name, node in plan.nodes.items() if name in wanted}
    plan.scores = {cell: {} for cell in plan.cells}
    return made


def _record(result: Any, made: str) -> Record | None:
    record: Record | None = result.outcome.states[made].record
    return record


def _failed(result: Any, made: str) -> Check:
    states = result.outcome.states
    first = next((n for n, s in states.items() if s.how in ("failed", "refused")), made)
    return Check("makes a video", "fail", f"{first.split(' ')[0]}: {states[first].reason}")


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two signals from their beginnings, at the best of the lags that a codec's priming may cause (64 ms)."""
    n = min(len(a), len(b))
    if n == 0:
        return 0.0
    x, y = (v[:n].astype(np.float64) - v[:n].mean() for v in (a, b))
    size = float(np.sqrt((x @ x) * (y @ y)))
    if size == 0:
        return 1.0 if not x.any() and not y.any() else 0.0
    spectrum = np.fft.rfft(x, 2 * n) * np.conj(np.fft.rfft(y, 2 * n))
    lags = np.fft.irfft(spectrum)
    return float(max(lags[:1024].max(), lags[-1024:].max()) / size)


def _same(first: Path, second: Path, method: Any) -> Check:
    caps = getattr(getattr(method, "located", None), "definition", None)
    if caps is not None and not caps.caps.deterministic:
        return Check("same pixels again", "skip", "its method file says that it is not deterministic")
    if keys.sha256_file(first) == keys.sha256_file(second):
        return Check("same pixels again", "ok", "the files are equal, byte for byte")
    worst = max(
        (
            int(np.abs(a.astype(np.int16) - b).max())
            for a, b in zip(media.read_frames(first), media.read_frames(second), strict=False)
        ),
        default=255,
    )
    fine = worst == 0
    return Check(
        "same pixels again",
        "ok" if fine else "fail",
        f"largest difference {worst} of 255",
        "" if fine else "seed everything from job.seed",
    )
