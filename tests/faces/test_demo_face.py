"""The demo's landmark network: geometry of its crops, its files, and what it finds on generated faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import WeightsError
from lipbench.datasets.annotations import Annotations
from lipbench.faces import demo_face, track_faces
from lipbench.media.recent import read_again

DEMO = Path(demo_face.__file__).parents[1] / "datasets" / "demo"


def test_points_survive_the_way_into_a_crop_and_back() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    dots = [(70, 50), (90, 64), (60, 75)]
    for x, y in dots:
        image[y, x] = 255
    crop, back = demo_face.cut(image, np.array([75.0, 62.0]), 30.0, 0.2)
    for x, y in dots:
        place = np.linalg.solve(back[:, :2], np.array([x + 0.5, y + 0.5]) - back[:, 2])
        column, row = (place * demo_face.CROP).astype(int)
        assert crop[row - 1 : row + 2, column - 1 : column + 2].max() > 60
    assert np.allclose(back @ [0.5, 0.5, 1], [75.0, 62.0])


def test_whole_image_keeps_its_proportions() -> None:
    image = np.zeros((90, 160, 3), np.uint8)
    cv2.circle(image, (120, 30), 6, (255, 255, 255), -1)
    small, back = demo_face.whole(image)
    rows, columns = np.nonzero(small[..., 0] > 100)
    middle = back @ [(columns.mean() + 0.5) / 64, (rows.mean() + 0.5) / 64, 1]
    assert np.abs(middle - [120.5, 30.5]).max() < 1.5
    assert not small[:12].any()  # letterbox


def test_a_file_holds_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = demo_face.DemoFace(8).eval()
    again = demo_face.DemoFace.from_file(net.save(tmp_path / "net.npz", {"note": 1}))
    x = torch.rand(2, 3, demo_face.CROP, demo_face.CROP)
    assert torch.allclose(net.read(x)[1], again.read(x)[1], atol=2e-3)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="cannot read the weights"):
        demo_face.DemoFace.from_file(tmp_path / "bad.npz")


@pytest.mark.skipif(not weights.available("demo-face"), reason="no demo-face weights")
def test_generated_face_is_found_and_its_mouth_followed() -> None:
    folder = next(DEMO.rglob("annotations_en.npz")).parent
    truth = Annotations.load(folder / "annotations_en.npz")
    video = next(f for f in sorted(folder.glob("*.mp4")) if not f.name.startswith("truth_"))
    frames = media.load_frames(video, end_s=2.0)
    track = track_faces(iter(frames), backend="demo-face", fps=25.0)
    assert track.found.all()
    points = track.points68()
    assert points is not None
    away = np.linalg.norm(points - truth.landmarks68[: len(points)], axis=2)
    assert np.median(away[:, 48:]) < 3.0  # of 256 px
    gap = points[:, 66, 1] - points[:, 62, 1]
    assert np.corrcoef(gap, truth.lip_gap[: len(gap)])[0, 1] > 0.8
    empty = np.full((3, 96, 96, 3), 90, np.uint8)
    assert not track_faces(iter(empty), backend="demo-face", fps=25.0).found.any()


def test_frames_in_which_a_face_was_followed_are_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    media.write_video(video := tmp_path / "video.mp4", frames, 25)
    track_faces(video, backend="demo-face")
    monkeypatch.setattr("lipbench.media.pixels.ToRgb.__call__", None)
    assert len(list(read_again(video))) == 3


def test_a_face_is_followed_once_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    media.write_video(video := tmp_path / "video.mp4", frames, 25)
    track = track_faces(video, backend="demo-face")
    monkeypatch.setattr(demo_face, "landmarks", None)
    assert track_faces(video, backend="demo-face") is track
    for asked in ({"fps": 24.0}, {"sound": np.zeros(1920, np.int16)}):
        with pytest.raises(TypeError, match="not callable"):
            track_faces(video, backend="demo-face", **asked)
