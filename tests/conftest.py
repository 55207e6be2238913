"""Shared fixtures: single-threaded numerics, golden inputs, the real clips, small videos in every shape."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import inspect
import os
import shutil
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

# Before numpy and torch load: the machines are shared, and oversubscribed threads spin.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Results of one test are none of another's; those that are about the cache name one of their own.
os.environ["LIPBENCH_CACHE"] = "off"

import av  # noqa: E402
import click.testing  # noqa: E402
import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

#: swscale's SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND: without these it rounds down.
EXACT = 0x2 | 0x2000 | 0x40000

# Before click 8.2 a result had stderr of its own only when asked, and not in its output then; since then in both.
if "mix_stderr" in inspect.signature(click.testing.CliRunner).parameters:
    runner: Any = click.testing.CliRunner
    runner.__init__ = functools.partialmethod(runner.__init__, mix_stderr=False)
    result: Any = click.testing.Result
    result.output = property(lambda shown: shown.stderr + shown.stdout)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported stays to the end: no garbage is looked for in it, neither now nor in the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real") and not os.environ.get("LIPBENCH_REAL_CLIPS"):
            item.add_marker(pytest.mark.skip(reason="LIPBENCH_REAL_CLIPS is not set"))


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """Folder with katie.mp4, office.mp4, dub_fr.wav, dub_de.wav."""
    return Path(os.environ["LIPBENCH_REAL_CLIPS"])


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the golden vectors."""
    return Path(__file__).parent / "golden"


def beside(golden: Path, name: str) -> ModuleType:
    """The module `name`.py among the golden vectors, which is no package."""
    spec = importlib.util.spec_from_file_location(f"golden_{name}", golden / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rule(golden: Path) -> ModuleType:
    """The deterministic inputs and weights behind the golden vectors (`rule.fill`, `rule.frames`, ...)."""
    return beside(golden, "rule")


@pytest.fixture(scope="session")
def matconvnet(golden: Path) -> ModuleType:
    """MatConvNet's layers in plain numpy (`matconvnet.evaluate`, `matconvnet.write`, ...)."""
    return beside(golden, "matconvnet")


@pytest.fixture(scope="session")
def published(golden: Path) -> ModuleType:
    """Speech2Vid's published graphs (`published.v201`, `published.v114`, ...)."""
    return beside(golden, "speech2vid")


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Emptied where the test has passed: kept to the end, what all of them write fills small disks.

    The folder stays, so that no other gets its name: some caches know files by their paths.
    """
    failed = request.session.testsfailed
    yield tmp_path
    if request.session.testsfailed == failed:
        shutil.rmtree(tmp_path, ignore_errors=True)
        with contextlib.suppress(OSError):
            tmp_path.mkdir()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this test start no workers: a worker takes seconds to import torch."""
    from tests.stages_here import stages_here

    stages_here(monkeypatch)


@pytest.fixture(scope="module")
def module_in_process() -> Iterator[None]:
    """Runs of this file start no workers, those of its fixtures included."""
    from tests.stages_here import stages_here

    with pytest.MonkeyPatch.context() as patch:
        stages_here(patch)
        yield


class Films:
    """Makes videos below a folder and reads frame numbers back; frame k is flat gray `gray(k)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def gray(k: int) -> int:
        """Level of frame k: 16 + 3 k, up to frame 79."""
        return 16 + 3 * k

    @staticmethod
    def numbers(frames: Any) -> list[int]:
        """The frame numbers drawn into frames (T, H, W, 3)."""
        return [round((float(np.mean(frame)) - 16) / 3) for frame in frames]

    @staticmethod
    def encoded(rgb: np.ndarray, matrix: int, limits: int) -> av.VideoFrame:
        """(H, W, 3) in 0..255 -> a yuv444p frame by ITU-T H.273: matrix 1, 5, 6, 9 or 2 (none: as 5), range 2 full."""
        kr, kb = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
        y = rgb / 255 @ [kr, 1 - kr - kb, kb]
        u, v = (rgb[..., 2] / 255 - y) / (2 - 2 * kb), (rgb[..., 0] / 255 - y) / (2 - 2 * kr)
        scale, foot, chroma = (255, 0, 255) if limits == 2 else (219, 16, 224)
        yuv = np.stack([y * scale + foot, u * chroma + 128, v * chroma + 128]).round().astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(yuv, format="yuv444p")
        frame.colorspace, frame.color_range = matrix, limits
        return frame

    def make(
        self,
        name: str,
        n: int = 30,
        rate: Fraction | int = 30,
        *,
        size: tuple[int, int] = (64, 48),
        pts: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        container: dict[str, str] | None = None,
        rotation: int = 0,
        hflip: bool = False,
        audio: np.ndarray | None = None,
        audio_rate: int = 16000,
        audio_start: float = 0.0,
        audio_codec: str = "aac",
        color: tuple[int, int] | None = None,
        frames: np.ndarray | None = None,
    ) -> Path:
        """Encode `frames` (default: flat grays), losslessly by default; `pts` in `time_base` units."""
        path = self.folder / name
        width, height = size
        base = time_base or 1 / Fraction(rate)
        with av.open(str(path), "w", options=container or {}) as out:
            stream = out.add_stream(codec, rate=rate, options=options if options is not None else {"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            stream.codec_context.time_base = base
            if color:
                stream.codec_context.colorspace, stream.codec_context.color_range = color
            if rotation or hflip:
                stream.set_display_rotation(rotation, hflip=hflip)
            sound = None
            if audio is not None:
                layout = "mono" if audio.ndim == 1 else "stereo"
                sound = out.add_stream(audio_codec, rate=audio_rate, layout=layout)
                block = av.AudioFrame.from_ndarray(audio.reshape(1, -1), format="s16", layout=layout)
                block.sample_rate, block.time_base = audio_rate, Fraction(1, audio_rate)
                block.pts = round(audio_start * audio_rate)
                audio_packets = [*sound.encode(block), *sound.encode(None)]
            for k in range(n):
                if frames is not None:
                    image = frames[k]
                else:
                    image = np.full((height, width, 3), self.gray(k), np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                if color:
                    frame = self.encoded(image, *color)
                    limits = color[1]
                    frame = frame.reformat(
                        format=pix_fmt, src_color_range=limits, dst_color_range=limits, interpolation=EXACT
                    )
                else:
                    frame = frame.reformat(format=pix_fmt, interpolation=EXACT)
                frame.pts, frame.time_base = (k if pts is None else pts[k]), base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
            if sound is not None:
                out.mux(audio_packets)
        return path


@pytest.fixture
def films(tmp_path: Path) -> Films:
    return Films(tmp_path)
