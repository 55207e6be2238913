"""Head masks put right by the fitted mesh, the clean plate and time."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from lipbench import media
from lipbench.datasets import demo
from lipbench.datasets.annotations import Annotations
from lipbench.faces.parsing import HeadGuide, Label, Parsing, Plate, mend_heads, parser, truth_parsing
from lipbench.faces.parsing.geometry import HeadFrame
from lipbench.faces.parsing.head_mask import cut_background, steady_hair, without_specks
from lipbench.faces.raster import SurfaceLabel as Drawn
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec

WALL, HAIR, SKIN = (90, 110, 90), (60, 40, 30), (150, 110, 90)
FACE, LOCK, SLAB = np.s_[10:40, 20:40], np.s_[5:40, 14:20], np.s_[20:36, 40:48]


def drawn() -> tuple[np.ndarray, Parsing, np.ndarray]:
    """One frame: a face in the mesh, a lock of hair beside it, and a slab of wall in the head's mask."""
    frame, labels, mesh = np.full((60, 60, 3), WALL, np.uint8), np.zeros((60, 60), np.uint8), np.zeros((60, 60), bool)
    frame[LOCK], frame[FACE] = HAIR, SKIN
    labels[LOCK] = labels[FACE] = labels[SLAB] = Label.HEAD
    mesh[FACE] = True
    return frame, Parsing(labels[None], "drawn"), mesh


def still(color: tuple[int, int, int] = WALL) -> Plate:
    return Plate.still(np.full((60, 60, 3), color, np.uint8))


def test_wall_beside_the_face_is_cut_and_hair_is_not() -> None:
    frame, parsing, mesh = drawn()
    found = cut_background(frame[None], parsing, still(), lambda _: mesh).labels[0]
    assert (found[SLAB][:, 1:] == Label.BACKGROUND).all()
    assert (found[LOCK] == Label.HEAD).all()
    assert (found[FACE] == Label.HEAD).all()


def test_what_the_mesh_covers_stays_whatever_its_color() -> None:
    frame, parsing, mesh = drawn()
    frame[20:30, 37:40] = WALL
    mesh[SLAB] = True
    found = cut_background(frame[None], parsing, still(), lambda _: mesh).labels[0]
    assert (found == parsing.labels[0]).all()


def test_a_plate_spoilt_with_hair_cuts_no_hair() -> None:
    frame, parsing, mesh = drawn()
    # The lock has the plate's color, and rather the head's than the background's; then none of the background is near.
    frame[12:18, 22:38] = HAIR
    found = cut_background(frame[None], parsing, still(HAIR), lambda _: mesh).labels[0]
    assert (found[LOCK] == Label.HEAD).all()
    plate = np.full((60, 60, 3), WALL, np.uint8)
    plate[12:18, 15:19] = frame[12:18, 15:19] = (200, 200, 250)
    found = cut_background(frame[None], parsing, Plate.still(plate), lambda _: mesh).labels[0]
    assert (found[LOCK] == Label.HEAD).all()


def test_hair_on_the_shoulders_holds_still_and_the_jaw_does_not() -> None:
    jaw = np.stack([np.linspace(40, 80, 17), np.full(17, 70.0)], 1)
    heads = [HeadFrame(np.array([60.0, 40.0]), np.array([0.0, -1.0]), 30.0, jaw)] * 21
    labels = np.full((21, 120, 120), Label.TORSO, np.uint8)
    labels[:, 80:90, 85:95] = Label.HEAD
    labels[10, 80:90, 85:95] = Label.TORSO  # head in all frames but one
    labels[10, 95:105, 20:30] = Label.HEAD  # clothing in all frames but one
    labels[10, 70:75, 55:65] = Label.HEAD  # an open jaw
    labels[10, 85:87, 87:89] = Label.BACKGROUND
    found = np.stack(list(steady_hair(labels, heads, reach=4)))
    held = found[10, 80:90, 85:95] == Label.HEAD
    assert held.sum() == 96  # but for what is background
    assert (found[10, 95:105, 20:30] == Label.TORSO).all()
    assert (found[10, 70:75, 55:65] == Label.HEAD).all()
    labels[10:, 80:90, 85:95] = Label.NECK  # changes for good: no lag
    found = np.stack(list(steady_hair(labels, heads, reach=4)))
    assert (found[:10, 82, 90] == Label.HEAD).all()
    assert (found[10:, 82, 90] == Label.NECK).all()


def test_specks_take_the_label_around_them() -> None:
    labels = np.zeros((80, 80), np.uint8)
    labels[10:50, 10:60] = Label.HEAD
    labels[50:80, 20:50] = Label.NECK
    labels[40:43, 20:23] = Label.NECK  # an earring
    labels[15:18, 30:33] = Label.BACKGROUND
    labels[60:62, 30:32] = Label.HEAD
    labels[20:40, 40:50] = Label.BACKGROUND  # the wall, seen between hair and neck
    found = without_specks(labels, 50.0)
    assert (found[40:43, 20:23] == Label.HEAD).all()
    assert (found[15:18, 30:33] == Label.HEAD).all()
    assert (found[60:62, 30:32] == Label.NECK).all()
    assert (found[20:40, 40:50] == Label.BACKGROUND).all()
    assert (found != labels).sum() == 9 + 9 + 4


def test_before_a_moving_background_nothing_is_cut_and_the_notes_say_so() -> None:
    rng = np.random.default_rng(0)
    frame, parsing, mesh = drawn()
    frames = np.where(parsing.head[0][..., None], frame, rng.integers(0, 255, (13, 60, 60, 3))).astype(np.uint8)
    points = np.stack([np.linspace(20, 40, 68), np.linspace(12, 38, 68)], 1)
    guide = HeadGuide(None, np.repeat(points[None], 13, 0))
    found = mend_heads(frames, Parsing(np.repeat(parsing.labels, 13, 0), "drawn"), guide, lambda _: mesh)
    assert (found.labels[:, 20:36, 40:48] == Label.HEAD).all()
    assert any("it moves" in note for note in found.notes)


@pytest.mark.slow
def test_the_masks_of_a_generated_clip_get_better() -> None:
    folder, picked = demo.manifest().parent / "clips" / "demo-en", list(range(0, 200, 8))
    held = json.loads((folder / "clip.json").read_text())["spec"]
    known = {field.name for field in fields(ClipSpec)}
    spec = ClipSpec(**{k: tuple(v) if isinstance(v, list) else v for k, v in held.items() if k in known})
    shot = RenderedShot(plan(replace(spec, dubs=())), "en")
    seen = np.stack([shot.label(t) for t in picked])
    truth = truth_parsing(seen).head
    mesh = ~np.isin(seen, [Drawn.BACKGROUND, Drawn.HAIR, Drawn.CLOTH])
    frames = media.load_frames(folder / "demo-en.mp4")[picked]
    guide = HeadGuide(None, Annotations.load(folder / "annotations_en.npz").landmarks68[picked])
    before = parser("color").parse(frames, guide)
    after = mend_heads(frames, before, guide, lambda t: mesh[t])

    def overlap(found: Parsing) -> float:
        return float((found.head & truth).sum() / (found.head | truth).sum())

    assert overlap(before) < 0.95
    assert overlap(after) > 0.98
    assert any("was background by the fitted mesh" in note for note in after.notes)
