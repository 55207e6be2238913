"""What is written of an alignment, what is kept by hand, and what a scene may be."""

from pathlib import Path

import pytest

from lipbench.core.errors import ManifestError, UsageError
from lipbench.datasets.film import times
from lipbench.datasets.film.align_file import (
    AlignFile,
    DubTrack,
    PieceEntry,
    merged,
    piece_entry,
    read_align_file,
    write_align_file,
)
from lipbench.datasets.film.alignment import Alignment, Piece, verdict_of
from lipbench.datasets.film.scenes import scene_state
from lipbench.datasets.film.times import Scene, clock, scene


def entry(start: float, end: float, offset: float, heard_in: str = "", by: str | None = None) -> PieceEntry:
    data = {"from": start, "to": end, "offset": offset, "heard_in": heard_in, "by": by}
    return PieceEntry.model_validate(data | {"from_unsure_s": 0.5, "to_unsure_s": 0.5})


def dub(*pieces: PieceEntry, verdict: str = "ok") -> DubTrack:
    return DubTrack.model_validate({"file": "fr.mka", "rate": "24/25", "verdict": verdict, "pieces": pieces})


def test_file_is_read_as_written(tmp_path: Path) -> None:
    piece = piece_entry(Piece(0.0, 90.0, 1.234567, 0.9, 0.02, 0.05, 0.3, moments=(10.0, 12.0, 40.0)))
    assert piece.heard_in == "10.0-14.0 40.0-42.0"
    film = {"file": "film.mkv", "seconds": 100.0, "language": "en"}
    file = AlignFile.model_validate({"schema": 1, "film": film, "dubs": {"fr": dub(piece)}})
    write_align_file(tmp_path / "film.align.yaml", file)
    text = (tmp_path / "film.align.yaml").read_text()
    assert "rate: 24/25" in text
    assert "{from: 0.0, to: 90.0, offset: 1.23457" in text
    assert read_align_file(tmp_path / "film.align.yaml") == file


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("- {from: 5, to: 4, offset: 0}", "pieces[0]"),
        ("- {from: 0, to: 4, offset: x}", "offset"),
        ("- {from: 0, to: 4, offset: 0, heard_in: 1-x}", "heard_in"),
        ("- {from: 0, to: 4, offset: 0}\n    - {from: 3, to: 9, offset: 0}", "pieces overlap"),
        ("- {from: 0, to: 4, offset: 0, by: me}", "by"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "film.align.yaml"
    head = (
        "schema: 1\nfilm: {file: f.mkv, seconds: 9}\ndubs:\n  fr:\n    file: f.mkv\n    verdict: ok\n    pieces:\n    "
    )
    path.write_text(head + text + "\n")
    with pytest.raises(ManifestError) as error:
        read_align_file(path)
    assert f"{path}:" in str(error.value)
    assert field in str(error.value)


def test_pieces_by_hand_stay_and_what_differs_is_said() -> None:
    measured = Alignment(24 / 25, (Piece(0.0, 100.0, 1.0, 0.9, 0.02), Piece(100.0, 200.0, 2.0, 0.9, 0.02)), "ok")
    hand = entry(80.0, 120.0, 1.5, by="hand")
    pieces, said = merged(measured, dub(hand, entry(120.0, 200.0, 9.0)))
    assert [(p.start, p.end, p.offset, p.by) for p in pieces] == [
        (0.0, 80.0, 1.0, None),
        (80.0, 120.0, 1.5, "hand"),
        (120.0, 200.0, 2.0, None),
    ]
    assert len(said) == 2
    assert "+1.0000 s is measured, +1.5000 s is written by hand and kept" in said[0]
    assert merged(measured, None)[1] == []


def test_what_is_known_of_a_scene() -> None:
    one = dub(entry(0, 1000, 1.0, "100.0-200.0 700.0-800.0"), entry(1010, 2000, -9.0, "1400.0-1500.0"))
    assert scene_state(one, Scene(150, 160)).state == "measured"
    assert scene_state(one, Scene(300, 400)).state == "carried"
    assert scene_state(one, Scene(900, 950)).state == "one-sided"
    assert scene_state(one, Scene(990, 1005)).state == "edge"
    assert scene_state(one, Scene(1000.0, 1012.0)).state == "edge"
    assert scene_state(one, Scene(998.6, 998.9)).state == "edge"  # within a second of where the edge may lie
    assert scene_state(one, Scene(1990, 2010)).state == "outside"
    assert scene_state(dub(verdict="refused"), Scene(0, 1)).state == "refused"
    assert scene_state(dub(entry(0, 50, 1.0, by="hand")), Scene(0, 1)).state == "by hand"


def test_a_piece_that_is_heard_nowhere_near_is_carried() -> None:
    near = Piece(0.0, 100.0, 0.0, 0.5, 0.02, moments=(20.0, 50.0, 80.0))
    assert verdict_of((near,)) == ("ok", "")
    far = Piece(0.0, 700.0, 0.0, 0.1, 0.02, moments=(20.0, 390.0, 690.0))
    assert verdict_of((far,))[0] == "carried"
    assert "370 s from 20 s on" in verdict_of((far,))[1]
    thin = Piece(0.0, 500.0, 0.0, 0.1, 0.02, moments=(250.0,))
    assert verdict_of((thin,)) == ("carried", "88% of it lies more than 30 s from a sound that both have")


def test_times() -> None:
    assert times.moment("1:02:03.5") == 3723.5
    assert times.moment("750") == 750
    assert clock(3723.5) == "01:02:03.5"
    assert str(scene("00:12:30-00:13:10.25")) == "00:12:30-00:13:10.25"
    for wrong in ("12", "a-b", "10-5", "1:75-2:00", "5-5"):
        with pytest.raises(UsageError):
            scene(wrong)
