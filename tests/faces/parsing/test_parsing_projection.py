"""The offline parser on generated clips, whose labels are known, and its parts."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import NoFace, UsageError
from lipbench.datasets import demo
from lipbench.datasets.annotations import Annotations
from lipbench.faces import track_faces
from lipbench.faces.parsing import HeadGuide, Label, Parsing, parser, truth_parsing
from lipbench.faces.parsing.geometry import HeadFrame, head_frames
from lipbench.faces.parsing.refine import connected, guided
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec

PICKED = list(range(0, 200, 25))


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray, Parsing]:
    """Eight frames of a packaged clip, their landmarks, their exact labels."""
    folder = demo.manifest().parent / "clips" / "demo-it"
    held = json.loads((folder / "clip.json").read_text())["spec"]
    known = {field.name for field in fields(ClipSpec)}
    spec = ClipSpec(**{k: tuple(v) if isinstance(v, list) else v for k, v in held.items() if k in known})
    shot = RenderedShot(plan(replace(spec, dubs=())), "it")
    truth = truth_parsing(np.stack([shot.label(t) for t in PICKED]))
    points = Annotations.load(folder / "annotations_it.npz").landmarks68
    return media.load_frames(folder / "demo-it.mp4")[PICKED], points[PICKED], truth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("person", "head", "neck"), [("selfie", 0.97, 0.90), ("color", 0.92, 0.88)])
def test_head_and_neck_of_a_generated_clip(
    clip: tuple[np.ndarray, np.ndarray, Parsing], person: str, head: float, neck: float
) -> None:
    if person == "selfie" and not weights.available("mediapipe-selfie"):
        pytest.skip("weights mediapipe-selfie are not here")
    frames, points, truth = clip
    # Frames a second apart are no neighbors: no smoothing.
    found = parser("projection", person=person, smoothing=1).parse(frames, HeadGuide(None, points))
    assert overlap(found.head, truth.head) > head
    assert overlap(found.neck, truth.neck) > neck
    assert found.parser == f"projection+{person}"


def test_without_weights_it_works_and_says_so(
    clip: tuple[np.ndarray, np.ndarray, Parsing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    frames, points, _ = clip
    points = points.copy()
    points[1] = np.nan
    found = parser().parse(frames, HeadGuide(None, points))
    assert found.parser == "projection+color"
    assert any("weights get mediapipe-selfie" in note for note in found.notes)
    assert any("1 of 8 frames without landmarks" in note for note in found.notes)


def test_the_fitted_head_is_head_whatever_its_color(clip: tuple[np.ndarray, np.ndarray, Parsing]) -> None:
    frames, points, truth = clip
    frames = frames[:2].copy()
    rows, columns = np.nonzero(truth.head[0] & truth.head[1])
    y = int(np.quantile(rows, 0.05))  # a patch of the backdrop's color in the hair
    x = int(columns[rows == y].mean())
    patch = (slice(None), slice(y, y + 12), slice(x - 6, x + 6))
    frames[patch] = frames[:, :4, :4].mean((1, 2), keepdims=True).astype(np.uint8)
    found = parser(person="color").parse(frames, HeadGuide(truth.head[:2], points[:2]))
    assert (found.labels[:, y + 3 : y + 9, x - 3 : x + 3] == Label.HEAD).all()


def test_bad_guides_are_refused(clip: tuple[np.ndarray, np.ndarray, Parsing]) -> None:
    frames, points, _ = clip
    made = parser(person="color")
    with pytest.raises(UsageError, match="no guide"):
        made.parse(frames)
    with pytest.raises(UsageError, match="3 frames, the clip 8"):
        made.parse(frames, HeadGuide(None, points[:3]))
    with pytest.raises(UsageError, match="neither landmarks nor"):
        made.parse(frames, HeadGuide())
    with pytest.raises(NoFace):
        made.parse(frames, HeadGuide(None, np.full((8, 68, 2), np.nan)))
    with pytest.raises(UsageError, match="magic"):
        parser(person="magic")


def test_a_silhouette_alone_gives_the_same_head_frame_about(clip: tuple[np.ndarray, np.ndarray, Parsing]) -> None:
    _, points, truth = clip
    by_points = head_frames(HeadGuide(None, points))[3]
    by_shape = head_frames(HeadGuide(truth.head, None))[3]
    assert abs(by_shape.unit / by_points.unit - 1) < 0.15
    assert np.linalg.norm(by_shape.origin - by_points.origin) < 0.2 * by_points.unit
    x, y = by_points.coordinates(256, 256)
    column, row = by_points.at(0.3, -0.5)
    assert abs(x[int(row), int(column)] - 0.3) < 0.02
    assert abs(y[int(row), int(column)] + 0.5) < 0.02


def test_islands_and_specks_are_put_right(clip: tuple[np.ndarray, np.ndarray, Parsing]) -> None:
    _, points, truth = clip
    head = head_frames(HeadGuide(None, points))[0]
    labels = truth.labels[0].copy()
    labels[2:8, 2:8] = Label.HEAD  # somebody else's hair at the image's corner
    eye = head.at(0.2, 0.0).astype(int)
    labels[eye[1] - 2 : eye[1] + 2, eye[0] - 2 : eye[0] + 2] = Label.BACKGROUND  # a hole in the face
    found = connected(labels, head)
    assert (found[2:8, 2:8] == Label.BACKGROUND).all()
    assert found[eye[1], eye[0]] == Label.HEAD
    assert (found == truth.labels[0]).mean() > 0.99
    double = connected(np.repeat(np.repeat(labels, 2, 0), 2, 1), head.scaled(2))
    assert (double[::2, ::2] == found).mean() > 0.995


def test_the_guided_filter_moves_an_edge_to_the_images() -> None:
    frame = np.zeros((40, 40, 3), np.uint8)
    frame[:, 20:] = 200
    rough = np.zeros((40, 40), np.float32)
    rough[:, 22:] = 1
    better = guided(frame, rough) > 0.5
    assert (better[5:-5] == (frame[5:-5, :, 0] > 0)).mean() > (rough[5:-5] == (frame[5:-5, :, 0] > 0)).mean()


@pytest.mark.real
@pytest.mark.slow
def test_real_heads_have_faces_in_them_and_hold_still(real_clips: Path) -> None:
    frames = media.load_frames(real_clips / "office.mp4", end_s=0.8)
    track = track_faces(frames, fps=30)
    found = parser().parse(frames, HeadGuide.from_track(track))
    points = track.points68()
    assert points is not None
    for t in range(len(frames)):
        inner = points[t, 17:].round().astype(int)  # brows, nose, eyes, lips
        assert (found.labels[t][inner[:, 1], inner[:, 0]] == Label.HEAD).all()
    assert (found.labels[1:] != found.labels[:-1]).mean() < 0.01
    below = (points[:, 8] + 0.3 * (points[:, 8] - points[:, 27])).round().astype(int)
    assert (found.labels[np.arange(len(frames)), below[:, 1], below[:, 0]] == Label.NECK).all()


def test_no_neck_beside_the_far_cheek_of_a_turned_head() -> None:
    angle = np.linspace(0, np.pi, 17)
    jaw = np.stack([100 - 60 * np.cos(angle), 90 + 70 * np.sin(angle)], 1)
    straight, turned = (
        HeadFrame(np.array([x, 80.0]), np.array([0.0, -1.0]), 80.0, jaw).above_jaw(200, 260) for x in (100.0, 135.0)
    )
    far = int(jaw[12, 1]), int(jaw[12, 0]) + 4  # next to the cheek that is turned away, below the mouth
    assert straight[far] < 0.1
    assert turned[far] > 0.9
    near = int(jaw[4, 1]), int(jaw[4, 0]) - 5
    assert straight[near] == turned[near] < 0.1
