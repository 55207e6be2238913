"""Face tracks out of files, the backends and their identity."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from lipbench import faces
from lipbench.core import weights
from lipbench.core.code import current
from lipbench.core.errors import MediaError, UnknownName, UsageError
from lipbench.faces import pipeline
from lipbench.faces.backend_table import BACKENDS
from lipbench.faces.files import from_landmarks, read_track
from lipbench.faces.track import FaceTrack

SIZE = (320, 240)


def made_up() -> FaceTrack:
    """Five frames of a mesh, the third one lost."""
    points = np.random.default_rng(0).uniform(10, 200, (5, 478, 3)).astype(np.float32)
    points[2] = np.nan
    return from_landmarks(points, fps=25, size=SIZE)


# -- files --------------------------------------------------------------------------------------------------------


def face68(n: int = 4) -> np.ndarray:
    """Points whose brows are at y = 60, chin at y = 160, jaw from x = 50 to 150."""
    points = np.full((n, 68, 2), 100.0, np.float32)
    points[:, :17, 0], points[:, :17, 1] = np.linspace(50, 150, 17), 130
    points[:, 8, 1], points[:, 17:27, 1] = 160, 60
    return points


def test_npy_landmarks(tmp_path: Path) -> None:
    points = face68()
    points[1, 5] = np.nan
    np.save(tmp_path / "points.npy", points)
    track = faces.track_faces(tmp_path / "points.npy", backend="file", fps=30, size=SIZE)
    assert (track.backend, track.fps, track.width) == ("file", 30, 320)
    assert track.lost_frames == [1]
    assert track.landmarks is not None
    assert track.landmarks.shape == (4, 68, 3)
    assert np.isnan(track.landmarks[1]).all()
    assert (track.landmarks[0, :, 2] == 0).all()
    np.testing.assert_allclose(track.boxes[0], (50, 60 - 19, 150, 160))  # the forehead is estimated
    np.testing.assert_array_equal(track.points68()[0], points[0])
    assert track.n_faces.tolist() == [1, 0, 1, 1]


def test_mesh_arrays_have_tight_boxes(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(20, 90, (3, 478, 3)).astype(np.float32)
    np.save(tmp_path / "mesh.npy", points)
    track = read_track(tmp_path / "mesh.npy", backend="file", fps=25, size=SIZE)
    np.testing.assert_allclose(track.boxes[:, :2], points[..., :2].min(1))


def test_lms_folder(tmp_path: Path) -> None:
    points = face68(5)
    for t in (0, 1, 3):
        np.savetxt(tmp_path / f"{t}.lms", points[t], "%f")
    (tmp_path / "notes.txt").write_text("not landmarks")
    track = read_track(tmp_path, backend="file", fps=25, size=SIZE)
    assert track.lost_frames == [2]
    assert len(track) == 4
    longer = read_track(tmp_path, backend="file", fps=25, size=SIZE, n_frames=6)
    assert longer.lost_frames == [2, 4, 5]
    with pytest.raises(MediaError, match="number of frames is 4"):
        read_track(tmp_path, backend="file", fps=25, size=SIZE, n_frames=2)
    (tmp_path / "2.lms").write_text("1 2\n3\n")
    with pytest.raises(MediaError, match=r"2\.lms"):
        read_track(tmp_path, backend="file", fps=25, size=SIZE)


def test_npz_track_as_corpus(tmp_path: Path) -> None:
    file = made_up().save(tmp_path / "truth.npz")
    track = faces.track_faces(file, backend="corpus", fps=25, size=SIZE)
    assert track.backend == "corpus"
    assert track.lost_frames == [2]
    with pytest.raises(MediaError, match=r"frame size is \(320, 240\), the video's is \(512, 512\)"):
        faces.track_faces(file, backend="corpus", size=(512, 512))
    with pytest.raises(MediaError, match="number of frames is 5, the video's is 7"):
        faces.track_faces(file, backend="corpus", n_frames=7)


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no landmark file"):
        read_track(tmp_path / "none.npy", backend="file", fps=25, size=SIZE)
    np.save(tmp_path / "flat.npy", np.zeros((4, 136)))
    with pytest.raises(MediaError, match=r"their shape is \(4, 136\)"):
        read_track(tmp_path / "flat.npy", backend="file", fps=25, size=SIZE)
    np.save(tmp_path / "good.npy", face68())
    with pytest.raises(UsageError, match="frame rate and size"):
        read_track(tmp_path / "good.npy", backend="file", fps=None, size=SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match=r"no \.lms files"):
        read_track(tmp_path / "empty", backend="file", fps=25, size=SIZE)
    np.save(tmp_path / "pickle.npy", np.asarray([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MediaError, match="cannot read"):
        read_track(tmp_path / "pickle.npy", backend="file", fps=25, size=SIZE)


# -- backends -----------------------------------------------------------------------------------------------------


def test_backends_and_their_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [backend.name for backend in faces.backends()]
    assert names == ["mediapipe-face", "s3fd-syncnet", "s3fd-wav2lip", "demo-face", "file", "corpus"]
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    without = faces.backend_identity("mediapipe-face")
    assert without["weights"] is None
    assert len(without["code"]) == 64
    assert without["code"] != faces.backend_identity("file")["code"]
    monkeypatch.setattr(weights, "sha256", lambda name: "abc")
    assert faces.backend_identity("mediapipe-face") == {**without, "weights": "abc"}
    assert faces.backend_identity("file")["weights"] is None
    with pytest.raises(UnknownName):
        faces.backend_identity("dlib")


def test_every_backend_names_the_function_that_tracks_for_it() -> None:
    """Its identity leaves out the other backends' functions, so each must be one that `track_faces` calls."""
    source = inspect.getsource(pipeline.track_faces) + inspect.getsource(pipeline._tracked)
    called = set(re.findall(r"(_track_\w+|read_track)\(", source))
    assert {backend.tracker for backend in BACKENDS.values()} == called


@pytest.mark.parametrize(
    ("backend", "ours", "not_ours"),
    [
        ("mediapipe-face", "faces.tflite.model", "faces.detect.s3fd_net"),
        ("s3fd-wav2lip", "faces.detect.s3fd_net", "faces.demo_face"),
        ("demo-face", "faces.demo_face", "faces.mesh_tracker"),
        ("file", "faces.files", "faces.demo_face"),
    ],
)
def test_identity_holds_the_code_of_its_own_backend(backend: str, ours: str, not_ours: str) -> None:
    digest = faces.backend_identity(backend)["code"]
    modules = current().codes[digest].modules
    assert f"lipbench.{ours}" in modules
    assert f"lipbench.{not_ours}" not in modules
