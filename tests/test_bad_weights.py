"""Every reader of weights against files that are no weights: nothing of them runs, and all fail in one form."""

from __future__ import annotations

import ast
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lipbench
from lipbench.baselines.adnerf import audio as adnerf_audio
from lipbench.baselines.adnerf import checkpoint as adnerf
from lipbench.baselines.adnerf import deepspeech
from lipbench.baselines.adnerf.phones import PhoneNet
from lipbench.baselines.makeittalk import checkpoint as makeittalk
from lipbench.baselines.makeittalk.landmark_nets import ContentBranch
from lipbench.baselines.pcavs import checkpoint as pcavs
from lipbench.baselines.pcavs.generator import PcAvsGenerator
from lipbench.baselines.speech2vid import checkpoint as speech2vid
from lipbench.baselines.wav2lip import checkpoint as wav2lip
from lipbench.core.errors import WeightsError, WeightsMissing
from lipbench.core.weights import torch_file
from lipbench.faces.demo_face import DemoFace
from lipbench.faces.detect import S3FD
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.unpickle import load_object_npy, load_pickle
from lipbench.faces.parsing import network_parser
from lipbench.faces.parsing.bisenet import BiSeNet
from lipbench.faces.tflite.model import read as read_tflite
from lipbench.lipnerf.composite import gated_inpainter
from lipbench.lipnerf.expression.articulation import Articulator
from lipbench.lipnerf.expression.expression_range import ExpressionRange
from lipbench.metrics.functional import lpips
from lipbench.metrics.sync.network import SyncNet
from lipbench.nerf.training.trained import TrainedField

Load = Callable[[Path], Any]
#: Reader -> the ending of its files, and the reader.
LOADERS: dict[str, tuple[str, Load]] = {
    "torch file": (".pth", torch_file.read),
    "torch file with stand-ins": (".pth", lambda p: makeittalk.load(p, ContentBranch)),
    "wav2lip": (".pth", wav2lip.load),
    "wav2lip npz": (".npz", wav2lip.load),
    "makeittalk demo": (".npz", makeittalk.load_demo),
    "pcavs": (".pth", lambda p: pcavs.load(p, PcAvsGenerator)),
    "pcavs ours": (".npz", pcavs.load_ours),
    "speech2vid": (".npz", speech2vid.load),
    "speech2vid mat": (".mat", speech2vid.load),
    "speech2vid deblur": (".mat", speech2vid.load_deblur),
    "adnerf head": (".tar", adnerf.load_head),
    "adnerf torso": (".tar", adnerf.load_torso),
    "adnerf features": (".npy", adnerf_audio.read_npy),
    "deepspeech": (".pb", deepspeech.load),
    "phones": (".npz", PhoneNet.from_file),
    "syncnet": (".model", SyncNet.from_file),
    "syncnet npz": (".npz", SyncNet.from_file),
    "s3fd": (".pth", lambda p: S3FD("syncnet").load(p)),
    "mediapipe": (".tflite", read_tflite),
    "demo face": (".npz", DemoFace.from_file),
    "bisenet": (".pth", lambda p: network_parser.load(BiSeNet(), p)),
    "lpips": (".pth", lambda p: lpips._load.__wrapped__(p, p, "cpu", "alex")),
    "inpainter": (".pth", gated_inpainter.load),
    "articulation": (".npz", Articulator.from_file),
    "expression range": (".npz", ExpressionRange.load),
    "field": (".pt", TrainedField.load),
    "3dmm npz": (".npz", load_model),
    "3dmm pickle": (".pkl", load_model),
    "3dmm hdf5": (".h5", load_model),
    "pickle": (".pkl", load_pickle),
    "object npy": (".npy", load_object_npy),
}


class _Runs:
    """Unpickled by anything that runs pickles, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


class _Overwrites(torch.nn.Module):
    """A TorchScript module that writes into a file while it is loaded."""

    def __init__(self, victim: str) -> None:
        super().__init__()
        self.victim = victim
        self.weight = torch.nn.Parameter(torch.zeros(3))

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.victim, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.victim = state[0]
        self.training = state[1]
        self.weight = torch.from_file(self.victim, True, 4).fill_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def _bomb(path: Path) -> None:
    """A zip that is torch's and numpy's alike and unpacks to 200 MB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("archive/data/0", "__meta__.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range(100):
                    member.write(bytes(1 << 20))
        archive.writestr("archive/data.pkl", pickle.dumps({}))


def _mat_bomb(path: Path) -> None:
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path.write_bytes(head + struct.pack("<II", 15, len(data)) + data)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Kind of bad file -> one of it; afterwards nothing of them has run."""
    folder = tmp_path_factory.mktemp("bad")
    mark, victim = folder / "ran", folder / "victim"
    victim.write_bytes(b"precious" * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the end of TorchScript
        torch.jit.script(_Overwrites(str(victim))).save(str(folder / "torchscript"))
    state = {"state_dict": {"weight": torch.zeros(3)}, "other": _Runs(mark)}
    torch.save(state, folder / "zip pickle")
    torch.save(state, folder / "old pickle", _use_new_zipfile_serialization=False)
    (folder / "pickle").write_bytes(pickle.dumps(_Runs(mark)))
    objects = np.empty(1, object)
    objects[0] = _Runs(mark)
    np.savez(folder / "objects.npz", __meta__=objects, __info__=objects, schema=objects, mean=objects)
    np.save(folder / "object.npy", objects)
    _bomb(folder / "zip bomb")
    _mat_bomb(folder / "mat bomb")
    (folder / "web page").write_text("<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>")
    (folder / "lfs pointer").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 435900000\n")
    (folder / "empty").touch()
    (folder / "noise").write_bytes(np.random.default_rng(0).bytes(4096))
    whole = torch.nn.Linear(64, 64).state_dict()
    for kind, new in (("cut zip", True), ("cut old", False)):
        torch.save(whole, folder / kind, _use_new_zipfile_serialization=new)
        data = (folder / kind).read_bytes()
        (folder / kind).write_bytes(data[: len(data) // 2])
    yield {path.name: path for path in folder.iterdir() if path not in (mark, victim)}
    assert not mark.exists()
    assert victim.read_bytes() == b"precious" * 2


KINDS = (
    "torchscript",
    "zip pickle",
    "old pickle",
    "pickle",
    "objects.npz",
    "object.npy",
    "zip bomb",
    "mat bomb",
    "web page",
    "lfs pointer",
    "empty",
    "noise",
    "cut zip",
    "cut old",
)
#: Words that the error must hold whatever reads the file.
TOLD = {
    "zip bomb": "would unpack to",
    "web page": "web page",
    "lfs pointer": "LFS pointer",
    "empty": "the file is empty",
    "cut zip": "cut off",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loader", LOADERS)
def test_bad_files(loader: str, kind: str, bad: dict[str, Path], tmp_path: Path) -> None:
    ending, load = LOADERS[loader]
    if ending == ".h5" and kind not in TOLD:
        pytest.importorskip("h5py")
    file = tmp_path / f"weights{ending}"
    os.link(bad[kind], file)
    if loader == "torch file" and kind == "torchscript":
        assert load(file) == {}  # its module keeps a path and nothing else; the tensor would be made by its program
        return
    if loader == "pickle" and kind in ("old pickle", "cut old"):
        assert isinstance(load(file), int)  # these begin with a pickle of one number, which is no harm
        return
    with pytest.raises(WeightsError) as caught:
        load(file)
    error = caught.value
    assert error.why
    assert error.fix
    assert all("\n" not in part for part in (error.what, error.why, error.fix))
    assert TOLD.get(kind, "") in error.why
    # What can be read and holds something else is told as such; what cannot be read, in the same words everywhere.
    if kind in ("zip pickle", "old pickle") and loader == "torch file with stand-ins":
        return
    if kind != "torchscript":
        assert error.what == f"cannot read the weights {file}"


@pytest.mark.parametrize("loader", LOADERS)
def test_missing_files(loader: str, tmp_path: Path) -> None:
    ending, load = LOADERS[loader]
    if load is load_model:
        return  # a name that is no file may be a model's
    with pytest.raises(WeightsMissing, match="there is no file"):
        load(tmp_path / f"absent{ending}")


def test_nothing_else_reads_weights() -> None:
    """A reader that runs what it reads would be one that no test above knows.

    FVD's does, for those who say that they trust the file: `tests/metrics/test_fvd.py`.
    """
    root = Path(lipbench.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "load" in text else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner, name = ast.unparse(node.func.value), node.func.attr
            if owner in ("torch", "torch.jit", "pickle", "marshal", "joblib", "dill") and name in ("load", "loads"):
                found.append(f"{path.relative_to(root)}:{node.lineno} {owner}.{name}")
            pickles = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            if owner in ("np", "numpy") and name == "load" and pickles:
                found.append(f"{path.relative_to(root)}:{node.lineno} np.load")
    assert [place.split(":")[0] for place in found] == ["metrics/functional/video_features.py"]
