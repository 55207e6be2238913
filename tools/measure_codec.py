"""How far LSE with `codec: published` and without is from the published route, on clips of yours.

    python -m tools.measure_codec CLIPS... --ffmpeg /path/to/ffmpeg --model random --seconds 2.6 -o codec.jsonl

The published route of protocol `cropped` is run by its own tools: ffmpeg writes JPEG files and a sound file, OpenCV
reads the pictures back. Both sides are scored by one network, so that nothing but the pixels and the sound differs.
Writes a line a clip and prints the deviations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.io import wavfile

from lipbench.metrics.sync import SyncNet, evaluate, models

CODECS = ("none", "published")
NUMBERS = ("lse_d", "lse_c", "av_offset")


def network(model: str) -> tuple[Any, int]:
    """The folded network and the side of its pictures, px: "random" (seed 0, as published in size) or "demo"."""
    if model == "demo":
        return models.load("demo"), 112
    torch.manual_seed(0)
    return SyncNet(1.0, 224).eval().folded(), 224


def measure(clip: Path, folder: Path, ffmpeg: str, net: Any, side: int, seconds: float) -> dict[str, Any]:
    """Numbers of one clip on the published route and by lipbench."""

    def run(*words: str | Path) -> None:
        subprocess.run([ffmpeg, "-loglevel", "error", "-y", *map(str, words)], check=True)

    cut, pictures, sound = folder / "clip.mp4", folder / "frames", folder / "audio.wav"
    pictures.mkdir()
    coded = ("-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-c:a", "aac")
    run("-i", clip, "-t", str(seconds), "-r", "25", *coded, cut)
    run("-i", cut, "-threads", "1", "-f", "image2", pictures / "%06d.jpg")
    run("-i", cut, "-async", "1", "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", "16000", sound)
    frames = [cv2.resize(cv2.imread(str(file)), (side, side)) for file in sorted(pictures.glob("*.jpg"))]
    theirs = net.score(np.stack(frames), wavfile.read(sound)[1])
    row: dict[str, Any] = {"clip": clip.name, "frames": len(frames)}
    row["route"] = {name: float(getattr(theirs, name)) for name in NUMBERS}
    for codec in CODECS:
        ours = evaluate(cut, sync_model=net, protocol="cropped", codec=codec)
        row[codec] = {name: ours.value(name) for name in NUMBERS}
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Deviations from the route in percent, largest and mean, and in how many clips the offset is the same."""
    lines = [f"{len(rows)} clips", "codec      LSE-D max, mean     LSE-C max, mean     same offset"]
    for codec in CODECS:
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
                rows.append(measure(clip, Path(folder), given.ffmpeg, net, side, given.seconds))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
    print(table(rows))


if __name__ == "__main__":
    main()
