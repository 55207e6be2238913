"""A dub's own head, cut from its correct video, put into the source: that video has to come out."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.datasets import demo
from lipbench.faces.parsing import Parsing, clean_plate, truth_parsing
from lipbench.lipnerf.composite import CompositeOptions, Compositor, Render
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec

Clip = tuple[np.ndarray, np.ndarray, Parsing, Parsing]


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Frames in which the source opens its mouth wider than the dub: both videos, exact labels of both."""
    folder = demo.manifest().parent / "clips" / "demo-fr"
    held = json.loads((folder / "clip.json").read_text())["spec"]
    known = {field.name for field in fields(ClipSpec)}
    spec = ClipSpec(**{k: tuple(v) if isinstance(v, list) else v for k, v in held.items() if k in known})
    scene = plan(replace(spec, dubs=("en",)))
    picked = range(24, 60, 2)
    shots = [RenderedShot(scene, language) for language in ("fr", "en")]
    source, dub = (truth_parsing(np.stack([shot.label(t) for t in picked])) for shot in shots)
    videos = [media.load_frames(folder / name)[24:60:2] for name in ("demo-fr.mp4", "truth_en.mp4")]
    return videos[0], videos[1], source, dub


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((a.astype(float) - b) ** 2).mean()))


def composite(clip: Clip, inpainter: str) -> np.ndarray:
    frames, wanted, source, dub = clip
    compositor = Compositor(frames, source, clean_plate(frames, source), CompositeOptions(inpainter=inpainter))
    renders = []
    for t in range(len(frames)):
        alpha = cv2.GaussianBlur(dub.head[t].astype(np.float32), (0, 0), 0.7)
        renders.append(Render(t, wanted[t] / 255 * alpha[..., None], alpha))
    return np.stack(list(compositor.video(renders)))


def test_the_dubs_head_on_the_source_is_the_dubs_video(clip: Clip) -> None:
    frames, wanted, source, dub = clip
    out = composite(clip, "temporal")
    assert decibels(out, wanted) > 43
    gap = source.head & ~dub.head
    assert gap.sum() > 100
    # The neck that other frames show is nearer to the truth than the old chin, and than a fill from the frame alone.
    assert decibels(out[gap], wanted[gap]) > decibels(frames[gap], wanted[gap]) + 0.5
    assert decibels(out[gap], wanted[gap]) > decibels(composite(clip, "telea")[gap], wanted[gap]) + 1.0
    both = cv2.dilate((source.head | dub.head).any(0).astype(np.uint8), np.ones((25, 25), np.uint8)) == 1
    assert (out[:, ~both] == frames[:, ~both]).all()
