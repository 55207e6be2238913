"""Damaged videos of a generated corpus, to see a gate close: `python damage.py CORPUS OUT`.

    OUT/good      the correct videos, encoded once more
    OUT/delayed   every mouth 6 frames late: the first frame stands, then the video follows
    OUT/damped    every mouth opens half as far: rendered again from the corpus's own description

Each folder is one for the method `precomputed`, with files `<clip>.<language>.mp4`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from lipbench import media
from lipbench.datasets.manifest import resolve
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.training.syncnet.generated import damped_scene, video_of


def delayed(frames: np.ndarray, by: int) -> np.ndarray:
    """(T, H, W, 3) -> the same, `by` frames later."""
    return np.concatenate([np.repeat(frames[:1], by, axis=0), frames[:-by]]) if by else frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--delay", type=int, default=6, help="frames [6]")
    parser.add_argument("--damp", type=float, default=0.5, help="1 unchanged, 0 a still mouth [0.5]")
    given = parser.parse_args()
    for name in ("good", "delayed", "damped"):
        (given.out / name).mkdir(parents=True, exist_ok=True)
    manifest = resolve(given.corpus / "manifest.yaml")
    for dub in manifest.dubs:
        if dub.kind == "original":
            continue
        clip, name = manifest.clip(dub.clip_id), f"{dub.clip_id}.{dub.language}.mp4"
        truth = clip.truth[dub.language]
        frames, rate = media.load_frames(truth), media.probe(truth).fps
        media.write_video(given.out / "good" / name, frames, rate)
        media.write_video(given.out / "delayed" / name, delayed(frames, given.delay), rate)
        if not (given.out / "damped" / name).exists():
            about = json.loads((clip.video.parent / "clip.json").read_text())
            scene = damped_scene(plan(ClipSpec.from_dict(about["spec"])), given.damp)
            media.write_video(given.out / "damped" / name, video_of(scene, dub.language)[0], rate)
        print(name, flush=True)


if __name__ == "__main__":
    main()
