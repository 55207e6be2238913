"""Frame strips and contact sheets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lipbench.synthetic.corpus import strip
from lipbench.synthetic.corpus.sheet import contact_sheet
from lipbench.synthetic.speech import timelines


def test_pick_takes_telling_sounds_in_order() -> None:
    timeline = timelines.sentences()["s01"]["en"]
    phonemes = timeline.phonemes(0.2)
    chosen = strip.pick(phonemes, 100, 25, 12)
    frames = [t for t, _ in chosen]
    assert len(chosen) == 12
    assert frames == sorted(frames)
    labels = [label for _, label in chosen]
    assert sum(label.strip("ˈˌː") in ("p", "b", "m", "f", "v") for label in labels) >= 5
    for t, label in chosen:
        if label != "–":
            spoken = [p for p in phonemes if p.ipa == label]
            assert min(abs(0.5 * (p.start_s + p.end_s) - (t + 0.5) / 25) for p in spoken) < 0.04


def test_silence_is_a_dash() -> None:
    assert strip.pick((), 50, 25, 4) == [(6, "–"), (18, "–"), (31, "–"), (43, "–")]


def test_drawn_strip_holds_the_frames(tmp_path: Path) -> None:
    frames = np.stack([np.full((40, 40, 3), 20 * k, np.uint8) for k in range(10)])
    line = strip.row("en", frames, timelines.sentences()["s01"]["en"].phonemes(), 2.5, columns=5)
    assert line.frames.shape == (5, 40, 40, 3)
    picture = cv2.imread(str(strip.draw([line, line], tmp_path / "strip.png", cell_px=80, title="title")))
    assert picture is not None
    assert picture.shape[0] > 2 * 80
    assert picture.shape[1] > 5 * 80
    for value in np.unique(line.frames):
        assert (np.abs(picture.astype(int) - int(value)).max(-1) <= 1).sum() > 2000


def test_contact_sheet_is_a_grid(tmp_path: Path) -> None:
    cells = [(f"c{k}", np.full((30, 60, 3), 10 * k, np.uint8)) for k in range(5)]
    picture = cv2.imread(str(contact_sheet(cells, tmp_path / "sheet.png", columns=3, cell_px=60)))
    assert picture is not None
    assert picture.shape == (2 * (30 + 22), 180, 3)
    assert (picture[52 + 22 + 5, 70] == 40).all()
