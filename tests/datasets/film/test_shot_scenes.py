"""Used shots as scenes and as segments."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbench.core.errors import Refused, UsageError
from lipbench.datasets.film.shot_scenes import segments_of, shot_scenes, used_shots
from lipbench.datasets.film.times import Scene

FILM = Path("film.mkv")


def shots_file(folder: Path, *shots: tuple[float, float, str, str]) -> Path:
    lines = [
        f"  - {{n: {n}, from: {a}, to: {b}, into: cut, people: [{who}], actor: {who}, use: '{use}'}}"
        for n, (a, b, who, use) in enumerate(shots, 1)
    ]
    path = folder / "film.shots.yaml"
    path.write_text("\n".join(["schema: 1", "film: film.mkv", "seconds: 60", "shots:", *lines]) + "\n")
    return path


def test_used_shots_as_scenes_and_as_segments(tmp_path: Path) -> None:
    path = shots_file(tmp_path, (0, 4, "A", "yes"), (4, 8, "B", "no"), (8.02, 12, "A", "yes"), (16, 20.3, "A", "yes"))
    shots = used_shots(path, FILM)
    assert shot_scenes(shots) == [Scene(0, 4), Scene(8.02, 12), Scene(16, 20.3)]
    assert shot_scenes(shots, [Scene(3, 10), Scene(19, 30)]) == [Scene(3, 4), Scene(8.02, 10), Scene(19, 20.3)]
    # A frame is left out beside a boundary, none at the ends of the scene; all lie on frames of the clip.
    assert segments_of(shots, Scene(2, 18), 25) == ((0, 1.96), (6.08, 9.96), (14.04, 16.0))
    # 0.3 s are too short to follow a face in; frames count from the scene's beginning.
    assert segments_of(shots, Scene(3.7, 12), 25) == ((4.36, 8.28),)
    with pytest.raises(Refused, match="no used shot lies in the scene"):
        segments_of(shots, Scene(4, 8), 25)
    with pytest.raises(Refused, match="no used shot lies in the scene"):
        shot_scenes(shots, [Scene(0, 2), Scene(30, 40)])


def test_shots_files_that_cannot_be_cut(tmp_path: Path) -> None:
    path = shots_file(tmp_path, (0, 4, "A", "yes"), (4, 8, "B", "yes"))
    with pytest.raises(UsageError, match="several actors: A, B"):
        used_shots(path, FILM)
    with pytest.raises(UsageError, match=r"holds the shots of film.mkv"):
        used_shots(path, Path("other.mkv"))
    with pytest.raises(Refused, match="uses no shot"):
        used_shots(shots_file(tmp_path, (0, 4, "A", "no")), FILM)
