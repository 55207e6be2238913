"""A clip of several segments: one person and one field, plates and compositing for each segment alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.method import ClipInput, FitJob, PrepareJob
from lipbench.faces.parsing import Parsing
from lipbench.faces.parsing.shot_plates import ShotPlates, shot_plates
from lipbench.lipnerf import method as module
from lipbench.lipnerf import output, shots
from lipbench.lipnerf.composite import CompositeOptions, Render
from lipbench.lipnerf.fitting.options import PRESETS
from lipbench.lipnerf.params import LipNerfParams
from lipbench.lipnerf.prepared import PreparedClip
from tests.lipnerf.half_size import half_size

DEMO = Path(module.__file__).parents[1] / "datasets" / "demo" / "clips" / "demo-en"
QUICK = {"photometric": False, "focal": 350.0, "identity_frames": 10, "iterations": 6}


def test_plates_are_of_their_shots() -> None:
    """Two shots before two walls: a plate of all frames would be half of each."""
    frames = np.zeros((12, 24, 24, 3), np.uint8)
    frames[:6], frames[6:] = 60, 200
    labels = np.zeros((12, 24, 24), np.uint8)
    labels[:, 8:16, 8:16] = 1
    parsing = Parsing(labels, "truth")
    plate = shot_plates(frames, parsing, [(0, 6), (6, 12)])
    assert isinstance(plate, ShotPlates)
    assert not plate.static
    assert [int(np.median(plate.frame(t))) for t in (0, 5, 6, 11)] == [60, 60, 200, 200]
    assert [plate.shot_of(t) for t in (0, 5, 6, 11)] == [0, 0, 1, 1]
    assert shot_plates(frames[:6], parsing.take(np.arange(6)), [(0, 6)]).static


def test_stretches_of_a_dub() -> None:
    """A dub that is longer goes back over the cut: each stretch is a shot's."""
    index = np.asarray([0, 1, 2, 3, 4, 3, 2, 1])
    assert shots.spans_under(index, (3,)) == [(0, 3), (3, 6), (6, 8)]
    assert shots.spans_under(index, ()) == [(0, 8)]


def test_renders_are_composited_shot_by_shot() -> None:
    frames = np.stack([np.full((24, 24, 3), value, np.uint8) for value in (60,) * 6 + (200,) * 6])
    labels = np.zeros((12, 24, 24), np.uint8)
    labels[:, 8:16, 8:16] = 1
    parsing = Parsing(labels, "truth")
    plate = shot_plates(frames, parsing, [(0, 6), (6, 12)])
    prepared = PreparedClip(None, parsing, (0, 0, 24, 24))  # type: ignore[arg-type]
    renderer = output.DubRenderer(prepared, frames, plate, None, None, CompositeOptions(inpainter="none"))  # type: ignore[arg-type]
    clear = np.zeros((24, 24, 3)), np.zeros((24, 24))
    made = list(renderer._video(iter([Render(s, *clear) for s in (4, 5, 6, 7, 5)])))
    assert [int(np.median(image)) for image in made] == [60, 60, 200, 200, 60]


@pytest.mark.parametrize("name", ["lipnerf", "ad-nerf"])
def test_methods_train_on_all_segments(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "landmarks", QUICK)
    rows = np.concatenate([np.arange(26), np.arange(80, 100)])
    frames, track = half_size(DEMO)
    frames = frames[rows]
    media.write_video(tmp_path / "clip.mp4", frames, 25)
    media.write_wav(tmp_path / "clip.wav", media.read_audio(DEMO / "demo-en.mp4")[: 46 * 640])
    track.take(rows).save(tmp_path / "faces.npz")
    h, w = frames.shape[1:3]
    size = {"steps": 3, "size": 32, "field": "triplane", "fit": "landmarks", "parser": "color"}
    method = registry.load("methods", name)
    if name == "lipnerf":
        params = LipNerfParams(settings={"rays": 64, "frames": 2}, **size)
    else:
        params = method.spec.params(**size)
    clip = ClipInput("c", tmp_path / "clip.mp4", tmp_path / "clip.wav", 25, 46, w, h, "en", tmp_path / "faces.npz")
    clip = replace(clip, cuts=(26,))
    folders = [tmp_path / stage for stage in ("prepare", "fit")]
    for folder in folders:
        folder.mkdir()
    info = method.prepare(PrepareJob(out=folders[0], clip=clip, params=params, log=lambda _: None)).info
    assert info["shots"] == 2
    prepared = PreparedClip.load(folders[0])
    assert (len(prepared.fit), len(prepared.parsing)) == (46, 46)
    # The head stands elsewhere after the cut, and each side knows nothing of the other.
    alone = prepared.part(26, 46)
    assert len(alone.fit) == 20
    facts = method.fit(
        FitJob(out=folders[1], clip=clip, params=params, prepare_folder=folders[0], log=lambda _: None)
    ).info
    assert facts["frames"] == 46
