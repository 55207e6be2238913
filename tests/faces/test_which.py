"""Which of several faces is measured: named, told by place, or found by the sound; and never across a cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.faces import speaking
from lipbench.faces.box_tracker import follow
from lipbench.faces.mesh_tracker import MeshTracker
from lipbench.faces.shots import ShotDetector
from lipbench.faces.track import Box, FaceTrack
from lipbench.faces.which import Which, choose
from lipbench.metrics import regions
from lipbench.metrics.sync import protocol

SIZE = (320, 240)


def box(x: float, side: float = 60, y: float = 120) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2, 0.9)


class Fixed:
    """A detector that sees the same faces in every frame, or those that a frame's first pixel numbers."""

    n_points = 478

    def __init__(self, *people: list[Box]) -> None:
        self.people = people

    def detect(self, frames: np.ndarray, **_: object) -> list[list[Box]]:
        return [list(self.people[min(int(f[0, 0, 0]), len(self.people) - 1)]) for f in frames]

    def __call__(self, images, rois):
        points = np.zeros((len(images), 478, 3), np.float32)
        points[:, :, 0] = [[r.x] for r in rois]
        points[:, :, 1] = [[r.y] for r in rois]
        points[:, 0, :2] += 20
        points[:, 1, :2] -= 20
        points[:, 33, 0] -= 10
        points[:, 263, 0] += 10
        return points, np.ones(len(images), np.float32)


@pytest.mark.parametrize(
    ("face", "x"),
    [(None, 160), ("largest", 160), ("left", 60), ("right", 280), ("270,100", 280), ("70, 200", 60), ("0.45,0.5", 160)],
)
def test_the_face_that_is_named(face: str | None, x: float) -> None:
    people = [box(60, 40), box(160, 80), box(280, 50)]
    first = choose(people, None, Which.parse(face), SIZE)[0]
    assert (first.x1 + first.x2) / 2 == x
    frames = [np.zeros((240, 320, 3), np.uint8)] * 3
    main, _, _ = follow(Fixed(people), frames, Which.parse(face))
    assert [(b.x1 + b.x2) / 2 for b in main if b] == [x] * 3
    tracker = MeshTracker(Fixed(people), Fixed(people), which=Which.parse(face))
    seen = [tracker.step(frame) for frame in frames]
    assert [round(float(s.box[[0, 2]].mean())) for s in seen if s] == [round(x)] * 3
    assert len(tracker.counted[0]) == 3


@pytest.mark.parametrize("text", ["middle", "12", "1,2,3", "-4,5", "nan,3", ""])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="left, right, largest or X,Y"):
        Which.parse(text)


def test_a_chosen_face_that_is_lost_is_not_replaced_by_somebody_else() -> None:
    both, other = [box(60), box(250)], [box(250)]
    frames = [np.full((240, 320, 3), t, np.uint8) for t in (0, 1, 1, 0)]
    main, counts, _ = follow(Fixed(both, other), frames, Which("left"))
    assert [None if b is None else (b.x1 + b.x2) / 2 for b in main] == [60, None, None, 60]
    assert counts == [2, 1, 1, 2]


def stills(*levels: tuple[int, int]) -> list[np.ndarray]:
    """Shots of one color each: (gray level, frames). The first pixel says which shot it is."""
    found = []
    for number, (level, n) in enumerate(levels):
        frame = np.full((240, 320, 3), level, np.uint8)
        frame[0, 0, 0] = number
        found += [frame] * n
    return found


def test_trackers_begin_anew_at_a_cut() -> None:
    # After the cut a small face stands where the followed one was, and a larger one elsewhere.
    first, second = [box(100, 60)], [box(105, 50), box(250, 90)]
    frames = stills((40, 20), (200, 20))
    main, _, cuts = follow(Fixed(first, second), frames)
    assert cuts == (20,)
    assert [(b.x1 + b.x2) / 2 for b in main if b] == [100] * 20 + [250] * 20
    tracker = MeshTracker(Fixed(first, second), Fixed(first, second))
    before = [tracker.step(frame) for frame in frames[:20]][-1]
    tracker.cut()
    after = tracker.step(frames[20])
    assert round(float(before.box[[0, 2]].mean())) == 100
    assert round(float(after.box[[0, 2]].mean())) == 250


def test_cuts_are_found_with_the_constants_that_scores_record() -> None:
    ours = ShotDetector()
    assert (ours.threshold, ours.min_frames) == (protocol.SHOT_THRESHOLD, protocol.MIN_SHOT_FRAMES)


def track(n: int = 40, cuts: tuple[int, ...] = (), x: float = 240.0) -> FaceTrack:
    boxes = np.tile(np.float32([x - 30, 90, x + 30, 150]), (n, 1))
    return FaceTrack("test", 25.0, *SIZE, boxes, np.ones(n, np.float32), np.ones(n, np.int16), None, cuts)


def test_a_track_keeps_its_cuts(tmp_path: Path) -> None:
    made = track(cuts=(10, 30))
    assert FaceTrack.load(made.save(tmp_path / "t.npz")).cuts == (10, 30)
    assert FaceTrack.load(track().save(tmp_path / "u.npz")).cuts == ()
    assert made.take([0, 9, 10, 11, 35, 34, 5]).cuts == (2, 4, 6)  # played back over a cut: a cut again


def test_a_track_says_whom_it_followed() -> None:
    alone = track()
    assert alone.who() == ""
    both = replace(alone, n_faces=np.where(np.arange(40) < 30, 2, 1).astype(np.int16))
    text = "up to 2 faces in 30 of 40 frames; measured is the one at x = 240, y = 120 of 320 x 240 (right)"
    assert both.who() == text
    assert both.mean_box == (210, 90, 270, 150)


def test_regions_are_not_averaged_over_a_cut() -> None:
    boxes = track(20).boxes.copy()
    boxes[10:, [0, 2]] -= 200
    jump = replace(track(20), boxes=boxes)
    smeared, cut = (regions.from_track(t).boxes["face"].corners[:, 0] for t in (jump, replace(jump, cuts=(10,))))
    assert cut.tolist() == [210] * 10 + [10] * 10
    assert smeared.tolist() != cut.tolist()


# -- by the sound ----------------------------------------------------------------------------------------------------


def speech(seed: int, n: int = 125) -> np.ndarray:
    """(n,) loudness of syllables, dB."""
    rng = np.random.default_rng(seed)
    return 50 + 15 * np.clip(np.convolve(rng.normal(0, 1, n + 8), np.ones(9) / 3, "valid"), -1, 1)


def mouth(loudness: np.ndarray | None, seed: int) -> np.ndarray:
    """(n, 478, 3) landmarks whose lips move with a loudness; still ones with small noise without."""
    rng = np.random.default_rng(seed)
    n = 125 if loudness is None else len(loudness)
    points = np.zeros((n, 478, 3), np.float32)
    points[:, 10, 1], points[:, 152, 1], points[:, 1, 1], points[:, 13, 1] = 0, 100, 50, 70
    pace = np.zeros(n) if loudness is None else (loudness - loudness.min()) / 10
    opening = 4 + pace * np.sin(np.arange(n) * 2.2) + rng.normal(0, 0.05, n)
    points[:, 14, 1], points[:, 17, 1] = 70 + opening, 76 + opening
    return points


def test_the_mouth_that_moves_with_the_sound_is_found() -> None:
    heard, other = speech(1), speech(2)
    faces = [speaking.motion(mouth(other, 3)), speaking.motion(mouth(heard, 4)), speaking.motion(mouth(None, 5))]
    assert speaking.clearest(faces, heard) == 1
    assert speaking.clearest(faces, other) == 0
    assert speaking.clearest(faces, np.roll(heard, 4)) == 1  # a shift is what is measured; it does not decide who
    assert speaking.clearest([faces[1], faces[1]], heard) is None  # both move alike: not clear
    assert speaking.clearest(faces, np.full(125, 50.0)) is None  # no sound
    assert speaking.together(np.zeros(125), heard) == 0


def test_loudness_under_each_frame() -> None:
    sound = np.concatenate([np.zeros(640), np.full(640, 1000)]).astype(np.int16)
    assert speaking.envelope(sound, 25, 3).tolist() == pytest.approx([0, 60, 0])


def test_people_of_a_shot() -> None:
    counted = {t: [box(60 + t / 5), box(250)] + ([box(160, 30)] if t == 5 else []) for t in range(0, 50, 5)}
    found = speaking.candidates(counted, 0, 50)
    assert [len(person.boxes) for person in found] == [10, 10]  # who is seen once is nobody
    assert speaking.candidates(counted, 50, 90) == []


def test_the_speaker_is_preferred_where_it_is_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = speech(1)
    sound = np.concatenate([np.full(640, 10 ** (dB / 20)) for dB in heard]).astype(np.int16)
    main = replace(track(125), n_faces=np.full(125, 2, np.int16), landmarks=mouth(speech(2), 3))
    speaker = replace(main, boxes=track(125, x=60).boxes, landmarks=mouth(heard, 4))
    monkeypatch.setattr(speaking, "_follow", lambda people, *_: {span: [main, speaker] for span in people})
    counted = {t: [box(240), box(60)] for t in range(0, 125, 5)}
    got = speaking.prefer(main, counted, lambda: [], tmp_path, sound)
    assert got.mean_box == (30, 90, 90, 150)
    assert got.n_faces.tolist() == main.n_faces.tolist()
    for answer, taken in ((0, main), (1, speaker), (None, speaker)):  # not sure: the mouth that moves decides
        model = Mock(return_value=answer)
        assert speaking.prefer(main, counted, lambda: [], tmp_path, sound, model).mean_box == taken.mean_box
        tracks, audio = model.call_args.args
        assert (list(tracks), len(audio)) == ([main, speaker], 80_000)
    silent = speaking.prefer(main, counted, lambda: [], tmp_path, np.zeros(80_000, np.int16))
    assert silent.mean_box == main.mean_box
    alone = speaking.prefer(main, {t: [box(240)] for t in counted}, lambda: [], tmp_path, sound)
    assert alone is main
