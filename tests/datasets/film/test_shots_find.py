"""`data shots` on a generated film: shots, people, the file to edit, the sheet, going on, another actor."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.data_shots import main
from lipbench.core.errors import ManifestError, MediaError, UsageError
from lipbench.datasets.film import shots_find
from lipbench.datasets.film.shots_faces import face_finder
from lipbench.datasets.film.shots_file import read_shots
from lipbench.datasets.film.shots_find import find_shots
from lipbench.datasets.film.shots_people import Rules
from lipbench.synthetic.film.shots import PlannedShot, draw_edit, write_film

DEMO = Path(__file__).parents[3] / "lipbench" / "datasets" / "demo" / "clips"
CLIPS = [DEMO / name / f"{name}.mp4" for name in ("demo-en", "demo-fr")]
RULES = Rules(face_px=60, alone=0.8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shots of two people, one cut to the other by a dissolve."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    shots = [
        PlannedShot(0, 0, 40),
        PlannedShot(1, 0, 40),
        PlannedShot(0, 60, 40, "dissolve", 10),
        PlannedShot(1, 60, 14),
    ]
    truth = write_film(path, CLIPS, shots, size=(256, 256))
    assert [(b.kind, b.first, b.end) for b in truth] == [("cut", 40, 40), ("dissolve", 70, 80), ("cut", 110, 110)]
    assert media.probe(path).n_frames == 124
    return path


@pytest.fixture(scope="module")
def found(film: Path) -> shots_find.Found:
    return find_shots(film, film.with_name("f.yaml"), film.with_name("f.png"), backend="demo-face", rules=RULES)


def test_shots_and_people(found: shots_find.Found) -> None:
    shots = found.file.shots
    assert [shot.into for shot in shots] == ["start", "cut", "dissolve", "cut"]
    frames = [(round(shot.start * 25), round(shot.end * 25)) for shot in shots]
    for mine, true in zip(frames, [(0, 40), (40, 70), (80, 110), (110, 124)], strict=True):
        assert np.abs(np.subtract(mine, true)).max() <= 2
    who = [shot.people for shot in shots]
    assert who[0] == who[2] != who[1] == who[3]
    assert {p.id for p in found.file.people} == {"A", "B"}
    assert shots[3].use == "no"  # half a second
    assert "less than 1 s" in shots[3].why[0]
    actor = next(shot for shot in shots if shot.people == (found.file.actor,))
    assert actor.face_px is not None
    assert actor.face_px > 100
    assert actor.speaking is not None
    assert actor.yaw is not None
    assert abs(actor.yaw[0]) < 20


def test_the_sheet(found: shots_find.Found) -> None:
    sheet = cv2.imread(str(found.sheet[0]))
    assert sheet is not None
    # Two columns of two shots, with pictures where there should be some.
    assert sheet.shape[1] == 1232
    assert sheet[20:100, 60:150].std() > 10


def test_the_file_reads_back_and_a_hand_stays(film: Path, found: shots_find.Found, tmp_path: Path) -> None:
    text = found.path.read_text()
    assert read_shots(found.path) == found.file
    edited = text.replace("use: 'yes'", "use: 'no', why: [the hand is before the face], by: hand", 1)
    assert edited != text
    out = film.with_name("edited.yaml")
    out.write_text(edited)
    film.with_name("edited.measured.jsonl").write_bytes(film.with_name("f.measured.jsonl").read_bytes())
    again = find_shots(film, out, tmp_path / "s.png", backend="demo-face", rules=RULES).file
    by_hand = [shot for shot in again.shots if shot.by == "hand"]
    assert [(shot.use, shot.why) for shot in by_hand] == [("no", ("the hand is before the face",))]
    assert sum(shot.use == "yes" for shot in again.shots) == sum(shot.use == "yes" for shot in found.file.shots) - 1


def test_another_actor_needs_no_second_look(
    film: Path, found: shots_find.Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the film was looked at again")

    monkeypatch.setattr(shots_find, "measure", never)
    monkeypatch.setattr(shots_find, "picture_blocks", never)
    other = next(p.id for p in found.file.people if p.id != found.file.actor)
    out = film.with_name("other.yaml")
    film.with_name("other.measured.jsonl").write_bytes(film.with_name("f.measured.jsonl").read_bytes())
    again = find_shots(film, out, tmp_path / "s.png", backend="demo-face", rules=RULES, actor=other).file
    assert again.actor == other
    assert [shot.n for shot in again.shots if shot.actor == other] == [
        shot.n for shot in found.file.shots if shot.people == (other,)
    ]


def test_an_interrupted_look_goes_on(film: Path, found: shots_find.Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured before is read, a line that was cut off is not."""
    lines = film.with_name("f.measured.jsonl").read_text().splitlines()
    kept = [line for line in lines if line]
    out = film.with_name("half.yaml")
    film.with_name("half.measured.jsonl").write_text("\n".join([*kept[:3], kept[3][: len(kept[3]) // 2]]))
    looked = []
    real = shots_find.measure
    monkeypatch.setattr(shots_find, "measure", lambda f, span, eyes: looked.append(span.first) or real(f, span, eyes))
    again = find_shots(film, out, film.with_name("half.png"), backend="demo-face", rules=RULES).file
    assert looked == [round(found.file.shots[n].start * 25) for n in (2, 3)]
    assert again == found.file


def test_the_command(film: Path, found: shots_find.Found) -> None:
    args = [str(film), "-o", str(found.path), "--sheet", str(found.sheet[0]), "--faces", "demo-face"]
    made = CliRunner().invoke(main, [*args, "--least-face", "60", "--json"], catch_exceptions=False)
    data = json.loads(made.stdout)
    assert len(data["shots"]) == 4
    assert data["film"] == "film.mp4"
    told = CliRunner().invoke(main, args, catch_exceptions=False).stdout
    assert "4 shots in" in told
    assert "<- actor" in told


def test_what_cannot_be(film: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "a.yaml", tmp_path / "a.png"
    with pytest.raises(UsageError, match="cannot follow all faces"):
        find_shots(film, out, sheet, backend="s3fd-wav2lip")
    with pytest.raises(MediaError, match="cannot be read"):
        find_shots(tmp_path / "nothing.mkv", out, sheet, backend="demo-face")
    out.write_text("schema: 1\nfilm: f\nseconds: 3\nshots:\n  - {n: 1, from: 2, to: 1, into: cut, use: yes}\n")
    with pytest.raises(ManifestError, match=r"a\.yaml:5: shots"):
        find_shots(film, out, sheet, backend="demo-face")


def test_a_film_without_sound_or_faces(tmp_path: Path) -> None:
    wall = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    media.write_video(tmp_path / "wall.mp4", [wall] * 30, 25)
    found = find_shots(tmp_path / "wall.mp4", tmp_path / "w.yaml", tmp_path / "w.jpg", backend="demo-face")
    assert [shot.why for shot in found.file.shots] == [("no face",)]
    assert found.file.actor is None
    assert "no sound" in found.remarks[0]


def test_edits_are_drawn_as_they_are_asked_for() -> None:
    shots = draw_edit([100, 200], 3, cuts=10, dissolves=3, fades=2, flashes=4)
    kinds = [shot.into for shot in shots[1:]]
    assert (kinds.count("cut"), kinds.count("dissolve"), kinds.count("fade")) == (10, 3, 2)
    assert sum(shot.look == "flash" for shot in shots) == 4
    assert draw_edit([100, 200], 3, cuts=10) == draw_edit([100, 200], 3, cuts=10)
    for one, other in pairwise(shots):
        assert one.source != other.source or abs(one.scale - other.scale) >= 0.5


def test_the_demos_networks_find_a_face() -> None:
    frames = media.load_frames(CLIPS[0], end_s=0.4)
    (face,) = face_finder("demo-face")(frames)
    assert face.rows.tolist() == list(range(len(frames)))
    assert face.at(3) is not None
    assert face.at(99) is None
    assert face_finder("demo-face")([]) == []
