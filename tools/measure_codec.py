"""How far LSE with `codec: published` and without is from the published route, on clips of yours at 25 fps.

    taskset -c 0 python -m tools.measure_codec CLIPS... --model demo -o codec.jsonl
    taskset -c 0 python -m tools.measure_codec CLIPS... --script SYNCNET_PYTHON -o codec.jsonl

The published route is run by its own tools. Protocol `cropped`: ffmpeg writes JPEG files and a sound file, OpenCV reads
the pictures back. Protocol `realvideo`, with a checkout of syncnet_python: its run_pipeline.py with one box in the
middle of all frames in place of S3FD's, then the same on the crop that it wrote. Both sides are scored by one network,
so that nothing but the pixels and the sound differs. On one core ffmpeg codes without slices, as lipbench does. Of
`realvideo` on x86-64 the route is compared with itself as well, the sound decoded with SSE2 alone ("elsewhere"): MP3
makes much of the last bit. Writes a line a clip and prints the deviations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.io import wavfile

from lipbench import media
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync import SyncNet, evaluate, models

Run = Callable[..., None]
CODECS = ("none", "published")
#: Frames that a track has to have more of: the clips are short.
MIN_TRACK = 30
NUMBERS = ("lse_d", "lse_c", "av_offset")


def network(model: str) -> tuple[Any, int]:
    """The folded network and the side of its pictures, px: "random" (seed 0, as published in size) or "demo"."""
    if model == "demo":
        return models.load("demo"), 112
    torch.manual_seed(0)
    return SyncNet(1.0, 224).eval().folded(), 224


def frames_of(video: Path, folder: Path, run: Run, side: int) -> np.ndarray:
    """(T, side, side, 3) BGR: the files that `SyncNetInstance.evaluate` has of a video."""
    pictures = folder / "frames"
    pictures.mkdir()
    run("-i", video, "-threads", "1", "-f", "image2", pictures / "%06d.jpg")
    return np.stack([cv2.resize(cv2.imread(str(file)), (side, side)) for file in sorted(pictures.glob("*.jpg"))])


def sound_of(video: Path, folder: Path, run: Run) -> np.ndarray:
    """(N,) int16, what it hears."""
    sound = folder / "audio.wav"
    run("-i", video, "-async", "1", "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", "16000", sound)
    return np.asarray(wavfile.read(sound)[1])


def sound_elsewhere(video: Path, folder: Path, run: Run) -> np.ndarray:
    """What it would hear of the first file of `run_pipeline.py`, made on a CPU that has SSE2 and no more."""
    run("-cpuflags", "sse2", "-i", video, "-vn", "-async", "1", folder / "elsewhere.avi")
    return sound_of(folder / "elsewhere.avi", folder, run)


def box_in_the_middle(video: Path) -> FaceTrack:
    """A track that holds the middle two fifths of every frame."""
    info = media.probe(video)
    side = min(info.width, info.height) // 5
    x, y, n = info.width // 2, info.height // 2, info.n_frames
    boxes = np.tile(np.array([x - side, y - side, x + side, y + side], np.float32), (n, 1))
    return FaceTrack("middle", 25, info.width, info.height, boxes, np.ones(n, np.float32), np.ones(n, np.int16))


def cropped_by_script(video: Path, track: FaceTrack, folder: Path, script: Path) -> Path:
    """The one crop that run_pipeline.py writes with the boxes of a track."""
    faces = [[[*map(float, box), 1.0]] for box in track.boxes]
    (folder / "boxes.json").write_text(json.dumps([*faces, *faces[-1:] * 5]))
    code = (
        "import json, sys; from pathlib import Path; from tools.recipe_stand_ins import _pipeline, stand_in;"
        "sys.path.insert(0, '.'); video, boxes, made = sys.argv[1:]; stand_in(json.loads(Path(boxes).read_text()));"
        f"_pipeline(video, Path(made), '{MIN_TRACK}', '--min_face_size', '50')"
    )
    command = [sys.executable, "-c", code, str(video), str(folder / "boxes.json"), str(folder / "made")]
    path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, cwd=script, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True)
    return next((folder / "made" / "pycrop" / "clip").glob("0*.avi"))


def measure(clip: Path, folder: Path, given: argparse.Namespace, net: Any, side: int) -> dict[str, Any]:
    """Numbers of one clip on the published route and by lipbench."""

    def run(*words: str | Path) -> None:
        subprocess.run([given.ffmpeg, "-loglevel", "error", "-y", *map(str, words)], check=True)

    cut = folder / "clip.mp4"
    coded = ("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-c:a", "aac")
    run("-i", clip, "-t", str(given.seconds), "-r", "25", *coded, cut)
    options: dict[str, Any] = {"protocol": "cropped"}
    read = cut
    if given.script is not None:
        track = box_in_the_middle(cut)
        read = cropped_by_script(cut, track, folder, given.script)
        options = {"protocol": "realvideo", "faces": track, "min_track": MIN_TRACK, "min_face_size": 50}
    frames, sounds = frames_of(read, folder, run, side), {"route": sound_of(read, folder, run)}
    row: dict[str, Any] = {"clip": clip.name, "frames": len(frames)}
    if given.script is not None and platform.machine() == "x86_64":
        sounds["elsewhere"] = sound_elsewhere(cut, folder, run)[: len(sounds["route"])]
    for name, sound in sounds.items():
        score = net.score(frames, sound)
        row[name] = {number: float(getattr(score, number)) for number in NUMBERS}
    for codec in CODECS:
        ours = evaluate(cut, sync_model=net, codec=codec, **options)
        row[codec] = {name: ours.value(name) for name in NUMBERS}
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Deviations from the route in percent, largest and mean, and in how many clips the offset is the same."""
    lines = [f"{len(rows)} clips", "codec      LSE-D max, mean     LSE-C max, mean     same offset"]
    for codec in [*CODECS, *(["elsewhere"] if "elsewhere" in rows[0] else [])]:
        off = [[100 * abs(row[codec][n] / row["route"][n] - 1) for n in NUMBERS[:2]] for row in rows]
        most, mean = np.max(off, axis=0), np.mean(off, axis=0)
        same = sum(row[codec]["av_offset"] == row["route"]["av_offset"] for row in rows)
        cells = "".join(f"{m:8.4f} %{a:8.4f} % " for m, a in zip(most, mean, strict=True))
        lines.append(f"{codec:9}{cells} {same}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--ffmpeg", default="ffmpeg", help="the ffmpeg of the published route")
    parser.add_argument("--script", type=Path, help="checkout of syncnet_python: measures protocol realvideo")
    parser.add_argument("--model", choices=("random", "demo"), default="random")
    parser.add_argument("--seconds", type=float, default=2.6)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    net, side = network(given.model)
    rows = []
    with open(given.output, "w", encoding="utf-8") as out:
        for clip in given.clips:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(clip, Path(folder), given, net, side))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
    print(table(rows))


if __name__ == "__main__":
    main()
