"""Loaders on tiny random files in the layouts of AD-NeRF, BFM and FLAME; pickles that try more than arrays."""

from __future__ import annotations

import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from lipbench.core.errors import UsageError, WeightsError
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.adnerf import load_adnerf
from lipbench.faces.morphable.bfm import load_bfm
from lipbench.faces.morphable.flame import JAW_SIGMA, load_flame
from lipbench.faces.morphable.unpickle import load_object_npy, load_pickle

N = 30


@pytest.fixture
def adnerf_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    info = {"mu_shape": rng.normal(size=3 * N) * 1e5, "mu_exp": rng.normal(size=3 * N) * 1e3}
    for key, k, scale in (("shape", 6, 1e5), ("exp", 79, 1e5), ("tex", 5, 1.0)):
        info[f"b_{key}"] = rng.normal(size=(k, 3 * N)) * scale
        info[f"sig_{key}"] = rng.random(k) + 0.5
    info["mu_tex"] = rng.random(3 * N) * 255
    keys = {
        "keyinds": rng.integers(0, N, 68),
        "left_contour": rng.integers(0, N, (8, 20)),
        "right_contour": rng.integers(0, N, (8, 20)),
        "rigid_ids": np.arange(10),
    }
    topology = {"tris": rng.integers(0, N, (9, 3))}
    for name, content in (("3DMM_info", info), ("keys_info", keys), ("topology_info", topology)):
        np.save(tmp_path / f"{name}.npy", np.array(content, dtype=object), allow_pickle=True)
    return tmp_path


def test_adnerf_layout(adnerf_folder: Path) -> None:
    info = np.load(adnerf_folder / "3DMM_info.npy", allow_pickle=True).item()
    model = load_model(adnerf_folder)
    assert (model.n_vertices, model.n_identity, model.n_expression, model.n_albedo) == (N, 6, 79, 5)
    np.testing.assert_allclose(model.mean.mean(0), 0, atol=1e-6)  # centered on every axis
    e = np.zeros(79)
    e[4] = 2.0
    expected = 2 * info["sig_exp"][4] * info["b_exp"][4].reshape(N, 3) / 1e5
    np.testing.assert_allclose(model.vertices(expression=e) - model.mean, expected, atol=1e-5)
    np.testing.assert_allclose(model.albedo(), info["mu_tex"].reshape(N, 3) / 255, atol=1e-6)
    assert model.require_landmarks().left.shape == (8, 20)


def test_adnerf_pickles_are_resaved_once(adnerf_folder: Path) -> None:
    first = load_adnerf(adnerf_folder)
    assert (adnerf_folder / "3dmm.npz").exists()
    for name in ("3DMM_info.npy", "keys_info.npy"):
        (adnerf_folder / name).unlink()
    again = load_adnerf(adnerf_folder, expression=10)
    assert again.n_expression == 10
    np.testing.assert_array_equal(again.mean, first.mean)
    (adnerf_folder / "3dmm.npz").unlink()
    with pytest.raises(UsageError, match=r"no 3DMM_info\.npy"):
        load_adnerf(adnerf_folder)


def test_adnerf_entry_missing(adnerf_folder: Path) -> None:
    np.save(adnerf_folder / "keys_info.npy", np.array({"keyinds": np.arange(68)}, dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match="left_contour"):
        load_adnerf(adnerf_folder)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/lipbench_pickle_was_run",)


def test_pickles_that_call_anything_are_refused(tmp_path: Path) -> None:
    marker = Path("/tmp/lipbench_pickle_was_run")
    marker.unlink(missing_ok=True)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"v_template": _Evil()}))
    with pytest.raises(WeightsError, match="nothing of it was run"):
        load_flame(tmp_path / "evil.pkl")
    np.save(tmp_path / "evil.npy", np.array({"x": _Evil()}, dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match="nothing of it was run"):
        load_object_npy(tmp_path / "evil.npy")
    assert not marker.exists()


def test_damaged_pickles_are_errors(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(10)})
    (tmp_path / "cut.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="cannot read the weights"):
        load_pickle(tmp_path / "cut.pkl")
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(WeightsError, match="cannot read"):
        load_object_npy(tmp_path / "text.npy")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_plain_arrays_pass_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    content = {"a": np.arange(6.0).reshape(2, 3), "b": [1, "x", np.float64(2.5)]}
    (tmp_path / "ok.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    back = load_pickle(tmp_path / "ok.pkl")
    np.testing.assert_array_equal(back["a"], content["a"])
    assert back["b"] == [1, "x", 2.5]


@pytest.fixture
def flame_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, np.ndarray]]:
    """A FLAME-like pickle with chumpy arrays and a sparse regressor, written with a stand-in for chumpy."""
    chumpy, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.x = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    ch.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", chumpy)
    monkeypatch.setitem(sys.modules, "chumpy.ch", ch)
    rng = np.random.default_rng(3)
    weights = np.zeros((N, 5))
    weights[:, 1] = 1
    weights[:8, 1], weights[:8, 2] = 0, 1  # the first eight vertices hang on the jaw
    regressor = np.zeros((5, N))
    regressor[:, 20:25] = 0.2
    arrays = {
        "v_template": rng.normal(size=(N, 3)) * 0.1,
        "shapedirs": rng.normal(size=(N, 3, 400)) * 0.01,
        "posedirs": np.zeros((N, 3, 36)),
        "J_regressor": regressor,
        "weights": weights,
        "f": rng.integers(0, N, (12, 3)),
    }
    content: dict[str, Any] = {k: Ch(v) for k, v in arrays.items() if k not in ("J_regressor", "f")}
    content |= {"J_regressor": csc_matrix(regressor), "f": arrays["f"].astype(np.uint32)}
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(content, protocol=2))
    monkeypatch.delitem(sys.modules, "chumpy")
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    return path, arrays


def test_flame_with_the_jaw_as_expressions(flame_file: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, arrays = flame_file
    model = load_model(path)
    assert (model.n_identity, model.n_expression) == (100, 79)
    np.testing.assert_allclose(model.mean, arrays["v_template"] * 10, atol=1e-6)
    # One standard deviation of the first mode turns the jaw's vertices about the joint by 9 degrees about x.
    joint = arrays["v_template"][20:25].mean(0)
    c, s = np.cos(JAW_SIGMA[0]), np.sin(JAW_SIGMA[0])
    turned = (arrays["v_template"] - joint) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T + joint
    opened = model.vertices(expression=np.eye(79)[0])
    np.testing.assert_allclose(opened[:8], turned[:8] * 10, atol=1e-5)
    np.testing.assert_allclose(opened[8:], model.mean[8:], atol=1e-6)
    # The fourth is FLAME's own first expression, the hundredth identity its hundredth shape mode.
    first = model.vertices(expression=np.eye(79)[3]) - model.mean
    np.testing.assert_allclose(first, arrays["shapedirs"][:, :, 300] * 10, atol=1e-5)


def test_flame_entry_missing(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"v_template": np.zeros((3, 3))}))
    with pytest.raises(WeightsError, match="shapedirs"):
        load_flame(tmp_path / "x.pkl")


def _bfm_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    arrays = {"shape/representer/cells": rng.integers(0, N, (3, 14))}
    for group, k in (("shape", 6), ("expression", 100), ("color", 5)):
        arrays[f"{group}/model/mean"] = rng.random(3 * N)
        arrays[f"{group}/model/pcaBasis"] = rng.normal(size=(3 * N, k))
        arrays[f"{group}/model/pcaVariance"] = rng.random(k) + 0.1
    return arrays


class _DictFile(dict):
    """The part of h5py.File that the loader uses, on a dict of arrays."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        tree: dict[str, Any] = {}
        for path, value in arrays.items():
            tree[path] = value
            group, _, leaf = path.rpartition("/")
            tree.setdefault(group, {})[leaf] = value
        super().__init__(tree)

    def __enter__(self) -> _DictFile:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _check_bfm(model: Any, arrays: dict[str, np.ndarray]) -> None:
    assert (model.n_vertices, model.n_identity, model.n_expression, model.n_albedo) == (N, 6, 79, 5)
    mean = (arrays["shape/model/mean"] + arrays["expression/model/mean"]).reshape(N, 3) / 100
    np.testing.assert_allclose(model.mean, mean, atol=1e-6)
    sigma = np.sqrt(arrays["expression/model/pcaVariance"][7])
    expected = mean + 3 * sigma * arrays["expression/model/pcaBasis"][:, 7].reshape(N, 3) / 100
    np.testing.assert_allclose(model.vertices(expression=3 * np.eye(79)[7]), expected, atol=1e-5)
    assert model.triangles.shape == (14, 3)


def test_bfm_layout_on_a_stand_in_for_h5py(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "model2019_bfm.h5"
    path.write_bytes(b"\x89HDF")
    arrays = _bfm_arrays()
    stub = types.ModuleType("h5py")
    stub.File = lambda path, mode: _DictFile(arrays)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", stub)
    _check_bfm(load_bfm(path), arrays)
    del arrays["color/model/mean"]
    with pytest.raises(WeightsError, match="cannot read the weights"):
        load_bfm(path)


def test_bfm_layout_in_a_real_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    arrays = _bfm_arrays()
    with h5py.File(tmp_path / "model2017-1.h5", "w") as file:
        for path, value in arrays.items():
            file[path] = value
    model = load_model(tmp_path / "model2017-1.h5")
    assert model.name == "bfm2017"
    _check_bfm(model, arrays)


def test_bfm_without_h5py_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "x.h5").write_bytes(b"\x89HDF")
    with pytest.raises(UsageError, match="pip install h5py"):
        load_bfm(tmp_path / "x.h5")
