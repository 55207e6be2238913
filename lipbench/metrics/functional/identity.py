"""How alike two faces are to a recognition network: the cosine of their embeddings (CSIM)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.metrics.arrays import Frame

Embedding = NDArray[np.floating]


def cosine(a: Embedding, b: Embedding) -> float:
    """Cosine of the angle between two embeddings.

    Args:
        a: (D,) numbers that a recognition network gives a face.
        b: (D,) of another face.

    Returns:
        -1 to 1, higher is more alike; NaN when one of them is zero.

    Source:
        CSIM: Zakharov et al., "Few-shot adversarial learning of realistic neural talking head models", ICCV 2019.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import cosine
        >>> round(cosine(np.array([3.0, 4.0]), np.array([6.0, 8.0])), 6)
        1.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    product = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / product, -1, 1)) if product > 0 else float("nan")


class Arcface:
    """A recognition network in an ONNX file: (112, 112, 3) uint8 RGB faces in, embeddings out.

    Args:
        path: the file; one input (N, 3, 112, 112), the first output is taken.
        raw: it takes pixels in 0..255, not in -1..1.

    Raises:
        WeightsMissing: the package `onnxruntime` is not installed.
        UsageError: no such file, or no network of this kind.
    """

    def __init__(self, path: Path, raw: bool = False) -> None:
        if (why := missing()) is not None:
            raise why
        onnxruntime: Any = importlib.import_module("onnxruntime")

        fix = "name an ONNX file that takes (N, 3, 112, 112) faces"
        if not path.is_file():
            raise UsageError(f"there is no file {path}", "the option identity-arcface.model names it", fix)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has many kinds, none of them public
            raise UsageError(f"{path} is no ONNX network", str(error).splitlines()[0][:200], fix) from error
        (given, *more), self._raw = self._session.get_inputs(), raw
        if more or list(given.shape[1:]) != [3, 112, 112]:
            raise UsageError(f"{path} is no recognition network", f"it takes {given.shape}", fix)
        self._input = given.name

    def __call__(self, face: Frame) -> Embedding:
        x = face.transpose(2, 0, 1)[None].astype(np.float32)
        x = x if self._raw else (x - 127.5) / 127.5
        found: Embedding = self._session.run(None, {self._input: x})[0][0]
        return np.asarray(found, np.float64)


@lru_cache(maxsize=2)
def _arcface(path: Path, raw: bool, modified_ns: int) -> Arcface:
    return Arcface(path, raw)


def arcface(path: Path, raw: bool = False) -> Arcface:
    """The network of a file; read again when the file has changed.

    Raises:
        WeightsMissing, UsageError: as `Arcface`.
    """
    return _arcface(path, raw, path.stat().st_mtime_ns if path.is_file() else 0)


def missing() -> WeightsMissing | None:
    """Why no ONNX file can be run here; None where it can."""
    if importlib.util.find_spec("onnxruntime") is not None:
        return None
    return WeightsMissing(
        "ONNX files cannot be run here",
        "the package onnxruntime is not installed",
        "run `pip install 'lipbench[onnx]'`",
    )


def file_facts(path: Path) -> Mapping[str, str]:
    """Name and hash of a file, for keys; the name alone when it cannot be read."""
    try:
        return {"name": path.name, "sha256": sha256_file(path)}
    except OSError:
        return {"name": path.name}
