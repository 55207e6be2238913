"""How the sync model on landmarks does on generated people it never met, as they are and damaged.

    python -m tools.sync_on_generated [--weights landmark-sync.npz] [--frames 100] [--yaw 0 --yaw 20 --yaw 40]

The packaged demo clips and their truth videos, five languages, tracked by MediaPipe's mesh: as they are, H.264 at crf
35, blurred, and with faces 30 % smaller. Everything is in sync, so offsets and wins are against the truth. With --yaw
the same clips are drawn again instead, the head turned by so many degrees on average, to the left and right in turn.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np

from lipbench import media
from lipbench.faces.pipeline import track_faces
from lipbench.faces.raster import euler_to_matrix
from lipbench.metrics.sync.landmark import mouth, score
from lipbench.metrics.sync.landmark.network import LandmarkSync
from lipbench.metrics.sync.protocol import VSHIFT
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.head import joint_translation
from tools.make_demo import CLIPS as SPECS
from tools.sync_on_people import DAMPED, auc, rows_of, windows

CLIPS = Path(media.__file__).parents[1] / "datasets" / "demo" / "clips"
SPOKEN = (("en", "en"), ("en", "es"), ("en", "de"), ("fr", "fr"), ("fr", "en"), ("it", "it"), ("it", "fr"))
Frames = list[Any]


def videos(n: int) -> Iterator[tuple[str, Frames, Any]]:
    """Name, the first n frames and the sound of each clip."""
    for own, language in SPOKEN:
        folder = CLIPS / f"demo-{own}"
        file = folder / (f"{folder.name}.mp4" if own == language else f"truth_{language}.mp4")
        sound = file if own == language else folder / f"{language}.flac"
        yield f"{own}-{language}", list(islice(media.read_frames(file), n)), media.read_audio(sound, 16000)[: 640 * n]


def turned(n: int, degrees: float) -> Iterator[tuple[str, Frames, Any]]:
    """The same, drawn with heads that look aside, to the left and right in turn."""
    specs = {spec.source: spec for spec in SPECS}
    for k, ((own, language), (name, _, audio)) in enumerate(zip(SPOKEN, videos(n), strict=True)):
        scene, yaw = plan(specs[own]), degrees * (-1) ** k
        angles = scene.motion.angles.copy()
        angles[:, 0] += yaw - angles[:n, 0].mean()
        rotation = euler_to_matrix(np.deg2rad(angles[:, [1, 0, 2]]))
        body = euler_to_matrix((0.0, np.deg2rad(0.4 * yaw), 0.0)), scene.body_translation
        place = np.stack([joint_translation(r, body) for r in rotation]) + scene.motion.shift
        shot = RenderedShot(replace(scene, rotation=rotation, translation=place, body_rotation=body[0]), language)
        yield name, [shot.frame(t) for t in range(n)], audio


def crf35(frames: Frames) -> Frames:
    """Through H.264."""
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "x.mp4")
        with av.open(path, "w") as out:
            stream = out.add_stream("libx264", rate=25, options={"crf": "35"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            out.mux(stream.encode())
        return list(media.read_frames(path))


def smaller(frames: Frames) -> Frames:
    """Faces 30 % smaller in an image of the same size."""
    h, w = frames[0].shape[:2]
    small = [cv2.resize(f, (int(0.7 * w), int(0.7 * h)), interpolation=cv2.INTER_AREA) for f in frames]
    top, left = (h - small[0].shape[0]) // 2, (w - small[0].shape[1]) // 2
    right, bottom = w - left - small[0].shape[1], h - top - small[0].shape[0]
    return [cv2.copyMakeBorder(f, top, bottom, left, right, cv2.BORDER_REPLICATE) for f in small]


DAMAGES: dict[str, Callable[[Frames], Frames]] = {
    "as it is": lambda frames: frames,
    "H.264 crf 35": crf35,
    "blur, sigma 2 px": lambda frames: [np.asarray(cv2.GaussianBlur(f, (0, 0), 2.0)) for f in frames],
    "30 % smaller": smaller,
}


def main() -> None:
    """Print a line for each damage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--yaw", type=float, action="append", default=[])
    args = parser.parse_args()
    net = LandmarkSync.read(args.weights) if args.weights else score.load()
    seen: dict[str, Iterator[tuple[str, Frames, Any]]] = {
        name: ((clip, damage(frames), audio) for clip, frames, audio in videos(args.frames))
        for name, damage in DAMAGES.items()
    }
    if args.yaw:
        seen = {f"yaw {yaw:g}": turned(args.frames, yaw) for yaw in args.yaw}
    for name, clips in seen.items():
        pairs, near, positive, negative, ranked, gains = [], [], [], [], [], []
        for _, frames, audio in clips:
            measures = mouth.of_track(track_faces(frames, fps=25.0))
            near.append(abs(score.score_mouth(measures, audio, net=net).offset.frames) <= 1)
            for means in windows(rows_of(net, measures, audio), 1):
                away = [k for k in range(31) if 5 <= abs(k - VSHIFT) <= 15 and np.isfinite(means[k])]
                if away and np.isfinite(means[VSHIFT]):
                    pairs.append(np.mean([means[VSHIFT] > means[k] for k in away]))
                    positive.append(means[VSHIFT])
                    negative += [means[k] for k in away]
            mean = measures.mean(0)
            damped = [score.score_mouth(mean + f * (measures - mean), audio, net=net).gain for f in DAMPED]
            ranked.append(all(a > b for a, b in itertools.pairwise(damped)))
            gains.append(damped[0])
        print(
            f"{name:18} 1 s pair {np.mean(pairs):.3f} AUC {auc(positive, negative):.3f} n={len(pairs)}  offset within "
            f"1 {sum(near)}/{len(near)}  damping ranked {sum(ranked)}/{len(ranked)}  gain {np.median(gains):.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
