"""Frames of a clip as one array: in memory while they are few, in a file when they are many."""

from __future__ import annotations

import errno
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import DiskFull
from lipbench.lipnerf import shots
from lipbench.media import held
from lipbench.nerf.scene_from_fit import make_scene

N, SHAPE = 60, (96, 128, 3)
BYTES = int(np.prod(SHAPE))


def numbered() -> Iterator[np.ndarray]:
    for t in range(N):
        yield np.full(SHAPE, t, np.uint8)


def peak(make: Any) -> tuple[Any, int]:
    """What is made, and the most bytes that were allocated meanwhile."""
    tracemalloc.start()
    made = make()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return made, most


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "IN_MEMORY", 4 * BYTES)


def test_a_short_clip_is_a_plain_array() -> None:
    found = media.hold(numbered())
    assert not isinstance(found, np.memmap)
    assert found[:, 5, 7, 1].tolist() == list(range(N))
    with pytest.raises(ValueError, match="array"):
        media.hold([])


@pytest.mark.usefixtures("little_memory")
def test_a_long_clip_is_never_in_memory_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held.tempfile, "tempdir", str(tmp_path))
    found, most = peak(lambda: media.hold(numbered()))
    assert most < 12 * BYTES < N * BYTES
    assert found.shape == (N, *SHAPE)
    assert found[:, 5, 7, 1].tolist() == list(range(N))
    assert not list(tmp_path.iterdir())  # the file has no name, and none is left


@pytest.mark.usefixtures("little_memory")
def test_room_for_a_long_clip_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held.tempfile, "tempdir", str(tmp_path))
    maps, most = peak(lambda: held.room((N, *SHAPE), np.float32))
    assert most < BYTES
    for t in range(N):
        maps[t] = t
    assert maps.dtype == np.float32
    assert maps[:, 5, 7, 1].tolist() == list(range(N))
    assert not list(tmp_path.iterdir())
    assert not isinstance(held.room((4, *SHAPE), np.uint8), np.memmap)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("reserving", [True, False])
def test_room_that_the_disk_has_not_is_refused_at_once(reserving: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    if reserving:
        monkeypatch.setattr(held.os, "posix_fallocate", full, raising=False)
    else:  # a system that cannot reserve
        monkeypatch.delattr(held.os, "posix_fallocate", raising=False)
        monkeypatch.setattr(held, "_file", lambda: type("Full", (), {"write": full})())
    with pytest.raises(DiskFull):
        held.room((N, *SHAPE), np.float32)


@pytest.mark.usefixtures("little_memory")
def test_some_frames_of_a_long_clip(tmp_path: Path) -> None:
    masks = media.hold(frame[..., 0] % 2 > 0 for frame in numbered())
    assert masks.dtype == bool
    assert masks[:, 5, 7].tolist() == [t % 2 > 0 for t in range(N)]
    frames = media.hold(numbered())
    assert np.shares_memory(held.taken(frames, np.arange(20, 50)), frames)
    rows = np.arange(0, N, 2)
    some, most = peak(lambda: held.taken(frames, rows))
    assert most < 12 * BYTES < len(rows) * BYTES
    assert some[:, 5, 7, 1].tolist() == rows.tolist()
    assert held.taken(frames, np.array([3, 2, 2]))[:, 0, 0, 0].tolist() == [3, 2, 2]
    assert held.taken(frames, np.array([-1, 0]))[:, 0, 0, 0].tolist() == [N - 1, 0]
    assert held.taken(frames, np.arange(0)).shape == (0, *SHAPE)


@pytest.mark.usefixtures("little_memory")
def test_decoding_fitting_and_a_scene_keep_it_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = media.write_video(tmp_path / "clip.mp4", numbered(), 25, lossless=True)
    frames, most = peak(lambda: media.load_frames(video))
    assert most < 20 * BYTES
    seen: list[Any] = []

    def fitted(frames: np.ndarray, *_: Any) -> None:
        seen.append(frames)
        raise InterruptedError

    monkeypatch.setattr(shots, "fit_clip", fitted)
    monkeypatch.setattr(shots, "join", lambda tracks: None)
    for parts in ([frames], [frames[:20], frames[20:]]):
        given = [shots.Shot(part, None) for part in parts]  # type: ignore[arg-type]
        with pytest.raises(InterruptedError):
            shots.prepare_shots(given, None, "color", print)  # type: ignore[arg-type]
    assert np.shares_memory(seen[0], frames)
    assert isinstance(seen[1], np.memmap)
    assert len(seen[1]) == N + 1
    assert not seen[1][20].any()
    head = np.zeros((N, *SHAPE[:2]), bool)
    head[:, 20:60, 30:90] = True
    turned, away = np.tile(np.eye(3), (N, 1, 1)), np.tile([0.0, 0.0, -7.0], (N, 1))
    mouth = np.tile([50, 40, 70, 50], (N, 1))
    plate = np.full(SHAPE, 200, np.uint8)
    scene, most = peak(lambda: make_scene(frames, head, plate, turned, away, 300.0, (64, 48), np.zeros((N, 4)), mouth))
    assert most < 20 * BYTES
    assert scene.frames[:, 30, 40, 0].tolist() == frames[:, 30, 40, 0].tolist()
    assert (scene.frames[:, 5, 5] == 200).all()


@pytest.mark.usefixtures("little_memory")
def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: Any) -> None:
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(held.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(DiskFull):
        media.hold(numbered())
