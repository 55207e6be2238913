"""What the gate says of damaged recordings: `python -m tools.damage_real CLIPS... -o OUT`.

Every clip keeps its own audio. OUT/videos has a folder for the method `precomputed` for each damage below, OUT/<damage>
its run; the first one is the baseline. Prints a line per damage: the verdict, the exit code, and the means.

    good      the clip, H.264 crf 12
    rerun     the same files again
    codec     H.265 at the same quality
    late      every frame 5 frames late
    damped    the mouth mixed half and half with the clip's still mouth
    blurred   the mouth blurred, sigma a tenth of its width
    broken    one clip of all has a gray picture
    wrong     the mouths of another moment of the clip, half a clip later
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import yaml

from lipbench import media
from lipbench.core import keys
from lipbench.faces import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.reports.figures.crops import boxes

Frames = np.ndarray
CLOSED = ("good", "rerun", "codec", "late", "damped", "blurred", "broken", "wrong")
METRICS = ["image", "sync"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--sync-model", default="demo")
    parser.add_argument("--tolerance", action="append", default=[], help="METRIC=NUMBER of the baseline; repeatable")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    clips = []
    if len({path.resolve().parent for path in given.clips}) != 1:
        parser.error("the clips lie in one folder")
    for number, path in enumerate(given.clips):
        clips.append(entry(path.resolve()))
        make(path, given.out / "videos", broken=number == 0)
    manifest = {
        "schema": 1,
        "name": "recorded",
        "version": "1",
        "licence": {"id": "research-only"},
        "consent": "not stated; measured, never shown",
        "root": str(given.clips[0].resolve().parent),
        "clips": clips,
        "dubs": [],
    }
    (given.out / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    for name in CLOSED:
        run(given.out, name, given.sync_model)
    baseline = given.out / "lips.json"
    baseline.unlink(missing_ok=True)
    accepted = ["--accept", "--reason", "recordings", "--allow", "no-sync"]
    gate(given.out / "good", baseline, *accepted, *(f"--tolerance={one}" for one in given.tolerance))
    print("| damage | verdict | exit | " + " | ".join(means(given.out / "good")) + " |")
    for name in CLOSED:
        code, verdict, said = gate(given.out / name, baseline)
        print(
            f"| {name} | {verdict} ({said}) | {code} | " + " | ".join(means(given.out / name).values()) + " |",
            flush=True,
        )


def entry(path: Path) -> dict[str, object]:
    return {
        "id": path.stem,
        "video": path.name,
        "sha256": keys.sha256_file(path),
        "speaker": path.stem,
        "language": "en",
    }


def make(path: Path, out: Path, broken: bool) -> None:
    """The videos of one clip, one in each folder."""
    done = out / CLOSED[-1] / f"{path.stem}.en.mp4"
    if done.exists():
        return
    frames = media.load_frames(path, fps=25)
    source = out / f"{path.stem}.mp4"
    out.mkdir(parents=True, exist_ok=True)
    media.write_video(source, frames, 25, lossless=True)
    track = track_faces(source)
    source.unlink()
    half = len(frames) // 2
    ways: dict[str, Callable[[], Frames]] = {
        "good": lambda: frames,
        "late": lambda: np.concatenate([np.repeat(frames[:1], 5, axis=0), frames[:-5]]),
        "damped": lambda: pasted(frames, track, lambda k: still(frames, track), 0.5),
        "blurred": lambda: pasted(frames, track, lambda k: None, 1.0),
        "broken": lambda: np.full_like(frames, 128) if broken else frames,
        "wrong": lambda: pasted(frames, track, lambda k: (k + half) % len(frames), 1.0),
    }
    for name in CLOSED:
        (out / name).mkdir(parents=True, exist_ok=True)
        file = out / name / f"{path.stem}.en.mp4"
        if name == "rerun":
            file.write_bytes((out / "good" / file.name).read_bytes())
        elif name == "codec":
            hevc(file, frames)
        else:
            media.write_video(file, ways[name](), 25, crf=12)


def still(frames: Frames, track: FaceTrack) -> int:
    from lipbench.baselines.still_mouth import neutral_frame

    points = track.points68()
    assert points is not None
    return neutral_frame(points)


def pasted(frames: Frames, track: FaceTrack, which: Callable[[int], int | None], share: float) -> Frames:
    """Every frame with the mouth of frame which(k) in it, or its own one blurred where that is None."""
    where = boxes(track, "mouth")
    size = where[0, 2:] - where[0, :2]
    window = np.outer(np.hanning(size[1] + 2)[1:-1], np.hanning(size[0] + 2)[1:-1])[..., None] ** 0.25 * share
    made = frames.copy()
    for k in range(len(frames)):
        x, y = np.clip(where[k, :2], 0, np.array(frames.shape[2:0:-1]) - size)
        own = frames[k, y : y + size[1], x : x + size[0]].astype(np.float32)
        other = which(k)
        if other is None:
            new = cv2.GaussianBlur(own, (0, 0), 0.1 * size[0] / 1.8)
        else:
            u, v = np.clip(where[other, :2], 0, np.array(frames.shape[2:0:-1]) - size)
            new = frames[other, v : v + size[1], u : u + size[0]].astype(np.float32)
        made[k, y : y + size[1], x : x + size[0]] = np.rint(own + window * (new - own))
    return made


def hevc(path: Path, frames: Frames) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265", 25, options={"crf": "12", "x265-params": "log-level=error"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def run(out: Path, name: str, sync_model: str) -> None:
    request = {
        "name": name,
        "manifest": "manifest.yaml",
        "methods": [{"id": "precomputed", "label": "ours", "params": {"folder": f"videos/{name}"}}],
        "metrics": METRICS,
        "original": True,
        "sync_model": sync_model,
        "sync": {"min_track": 40},
        "allow_missing": ["*"],
    }
    file = out / f"{name}.yaml"
    file.write_text(yaml.safe_dump(request))
    command = [sys.executable, "-m", "lipbench", "run", str(file), "--out", str(out / name), "--workers", "1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def gate(run_dir: Path, baseline: Path, *more: str) -> tuple[int, str, str]:
    """(exit code, verdict, headlines that are not the same)."""
    answer = run_dir / "gate.json"
    command = [sys.executable, "-m", "lipbench", "gate", str(run_dir), "--baseline", str(baseline), *more]
    done = subprocess.run([*command, *([] if more else ["--output", str(answer)])], capture_output=True, text=True)
    if more:
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return 0, "", ""
    told = json.loads(answer.read_text())
    lines = [f"{row['metric']} {row['verdict']}" for row in told["headlines"] if row["verdict"] != "same"]
    return done.returncode, told["verdict"], ", ".join(lines) or "all the same"


def means(run_dir: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "lipbench", "table", str(run_dir), "--json"]
    (row,) = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]
    return {name: "" if m["mean"] is None else f"{float(m['mean']):.4g}" for name, m in row["metrics"].items()}


if __name__ == "__main__":
    main()
