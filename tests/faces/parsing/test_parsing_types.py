"""Label maps, guides, exact labels, smoothing over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipbench.core.errors import MediaError, UnknownName, UsageError
from lipbench.faces.parsing import HeadGuide, Label, Parsing, parser, parsers, truth_parsing
from lipbench.faces.parsing.celebamask import BISENET_CLASSES, UNET_CLASSES, table
from lipbench.faces.parsing.steady import steady
from lipbench.faces.raster import SurfaceLabel as Drawn
from lipbench.faces.track import MESH_TO_68, FaceTrack


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 5, 7), dtype=np.uint8)
    before = Parsing(labels, "bisenet", ("one", "two"))
    after = Parsing.load(before.save(tmp_path / "labels.npz"))
    assert (after.labels == labels).all()
    assert (after.parser, after.notes) == ("bisenet", ("one", "two"))
    assert (after.take([2, 0]).labels == labels[[2, 0]]).all()
    assert (before.mask(Label.NECK, Label.TORSO) == (before.neck | before.torso)).all()


def test_other_files_and_arrays_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="label maps"):
        Parsing.load(tmp_path / "x.npz")
    with pytest.raises(UsageError, match="label maps"):
        Parsing(np.zeros((4, 4), np.uint8), "x")


def test_every_drawn_label_has_a_meaning() -> None:
    found = truth_parsing(np.array([[list(Drawn)]], np.uint8)).labels[0, 0]
    head = {Drawn.SKIN, Drawn.HAIR, Drawn.LIP, Drawn.MOUTH, Drawn.TEETH, Drawn.EYE, Drawn.EAR}
    assert {part for part, label in zip(Drawn, found, strict=True) if label == Label.HEAD} == head
    assert found[Drawn.NECK] == Label.NECK
    assert found[Drawn.CLOTH] == Label.TORSO
    with pytest.raises(UsageError, match="200"):
        truth_parsing(np.full((1, 2, 2), 200, np.uint8))


def test_the_two_class_orders_put_neck_and_cloth_where_their_authors_do() -> None:
    ours, theirs = table(BISENET_CLASSES), table(UNET_CLASSES)
    assert np.flatnonzero(ours == Label.NECK).tolist() == [14, 15]
    assert np.flatnonzero(ours == Label.TORSO).tolist() == [16]
    assert np.flatnonzero(ours == Label.HEAD).tolist() == [*range(1, 14), 17, 18]
    assert np.flatnonzero(theirs == Label.HEAD).tolist() == list(range(1, 16))
    assert np.flatnonzero(theirs == Label.NECK).tolist() == [16, 17]
    assert np.flatnonzero(theirs == Label.TORSO).tolist() == [18]
    assert sorted(BISENET_CLASSES) == sorted(UNET_CLASSES)


def test_gaps_in_landmarks_are_bridged_and_meshes_converted() -> None:
    points = np.zeros((5, 478, 2))
    points[:, MESH_TO_68[8]] = np.array([[0, 0], [np.nan] * 2, [np.nan] * 2, [30, 60], [30, 60]])
    points[1:3] = np.nan
    found = HeadGuide(None, points).points68()
    assert found is not None
    assert found.shape == (5, 68, 2)
    np.testing.assert_allclose(found[:, 8], [[0, 0], [10, 20], [20, 40], [30, 60], [30, 60]])
    assert HeadGuide(None, np.full((2, 68, 2), np.nan)).points68() is None
    with pytest.raises(UsageError, match="5 landmarks"):
        HeadGuide(None, np.zeros((1, 5, 2))).points68()


def test_a_track_of_boxes_alone_is_no_guide() -> None:
    nothing = np.zeros((2, 4), np.float32)
    track = FaceTrack("s3fd", 25, 64, 64, nothing, nothing[:, 0], np.ones(2, np.int16))
    with pytest.raises(UsageError, match="chin"):
        HeadGuide.from_track(track)
    assert HeadGuide.from_track(track, np.ones((2, 64, 64), bool)).landmarks is None


def test_parsers_by_name() -> None:
    assert parsers()[0] == "projection"
    with pytest.raises(UnknownName, match="maskgan"):
        parser("maskgan")


def test_one_frame_of_flicker_is_voted_down_and_nothing_lags() -> None:
    clear = np.zeros((9, 1, 2, 4), np.float32)
    clear[..., 1] = 1
    clear[4, 0, 0] = [0.0, 0.3, 0.7, 0.0]  # pixel 0: one doubtful frame
    clear[5:, 0, 1] = [0, 0, 1, 0]  # pixel 1: changes for good at frame 5
    found = np.stack(list(steady(iter(clear), 3)))
    assert found.shape == (9, 1, 2)
    assert (found[:, 0, 0] == 1).all()
    assert found[:, 0, 1].tolist() == [1] * 5 + [2] * 4
    assert next(iter(np.stack(list(steady(clear, 1)))[4, 0])) == 2
    assert len(list(steady(clear[:1], 5))) == 1
