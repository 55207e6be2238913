"""VMAF by an ffmpeg with libvmaf that is on the machine: the model that is built into it, `vmaf_v0.6.1`.

Both videos travel in one pipe, the prediction above the reference, in the 4:2:0 YUV that the other filters see: frames
stand beside each other as they do here, whatever time stamps their files have.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.metrics.arrays import Frame, as_clips

MODEL = "vmaf_v0.6.1"
#: Shorter side of the smallest image, px; smaller ones are no pictures to it.
SMALLEST = 64
_FIX = "install one: `pip install imageio-ffmpeg` brings one for most machines; the option vmaf.ffmpeg names another"


def candidates(chosen: str = "") -> list[str]:
    """The ffmpegs that may serve: the chosen one alone, else that of the PATH and that of imageio-ffmpeg."""
    if chosen:
        return [str(Path(chosen).expanduser())]
    found = [shutil.which("ffmpeg")]
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        imageio_ffmpeg: Any = importlib.import_module("imageio_ffmpeg")
        try:
            found.append(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError:  # the package came without one
            pass
    return [path for path in found if path]


def find(chosen: str = "") -> tuple[str, str]:
    """The first ffmpeg with libvmaf, and its version.

    Args:
        chosen: path of one; "" looks for one.

    Raises:
        Unsupported: none is here.
    """
    looked = candidates(chosen)
    for path in looked:
        if version := _version(path, _modified(path)):
            return path, version
    why = f"{' and '.join(looked)} cannot: built without libvmaf" if looked else "there is no ffmpeg on this machine"
    raise Unsupported("no ffmpeg here measures VMAF", why, _FIX)


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _version(path: str, modified_ns: int) -> str:
    """The version of an ffmpeg that has libvmaf, "" of any other."""
    try:
        filters = _asked(path, "-filters")
        version = _asked(path, "-version")
    except (OSError, subprocess.SubprocessError):
        return ""
    has = any(line.split()[1:2] == ["libvmaf"] for line in filters.splitlines())
    return version.split("\n")[0].removeprefix("ffmpeg version ").split(" Copyright")[0] if has else ""


def _asked(path: str, what: str) -> str:
    done = subprocess.run([path, "-hide_banner", what], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


class Vmaf:
    """One comparison: frame after frame goes in, the numbers come out at the end.

    Args:
        ffmpeg: as `find` gives it.
        size: width and height of the frames, px.
        folder: to write the log into; its path needs no care.

    Raises:
        Unsupported: frames that are too small, or whose sides are odd.
    """

    def __init__(self, ffmpeg: str, size: tuple[int, int], folder: Path) -> None:
        width, height = size
        if min(size) < SMALLEST or width % 2 or height % 2:
            why = f"even sides of at least {SMALLEST} px are needed"
            raise Unsupported(f"frames of {width} x {height} px cannot be measured by VMAF", why, "scale the videos")
        self._folder = folder
        both = (
            f"[0:v]split[a][b];[a]crop={width}:{height}:0:0[p];[b]crop={width}:{height}:0:{height}[r];"
            "[p][r]libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=1"
        )
        given = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{2 * height}", "-r", "25", "-i", "-"]
        self._errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `finish`
        self._process = subprocess.Popen(
            [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostats", *given, "-lavfi", both, "-f", "null", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            cwd=folder,
        )

    def push(self, prediction: Frame, reference: Frame) -> None:
        """The next (H, W, 3) uint8 RGB frame of both."""
        assert self._process.stdin is not None
        planes = zip(_planes(prediction), _planes(reference), strict=True)
        try:
            self._process.stdin.write(b"".join(part.tobytes() for both in planes for part in both))
        except BrokenPipeError:
            pass  # `finish` tells why it ended

    def finish(self) -> NDArray[np.float64]:
        """(T,) VMAF of every frame.

        Raises:
            Unsupported: ffmpeg failed; with what it said.
        """
        try:
            self._process.communicate()
        except BrokenPipeError:
            self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.close()
        try:
            found = json.loads((self._folder / "vmaf.json").read_text())["frames"]
            return np.array([frame["metrics"]["vmaf"] for frame in found], np.float64)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = said[-1] if said else f"it ended with code {self._process.returncode}, {error}"
            raise Unsupported("ffmpeg did not measure VMAF", why, _FIX) from error

    def stop(self) -> None:
        """End it early."""
        self._process.kill()
        self._process.wait()
        self._errors.close()


def _planes(frame: Frame) -> list[NDArray[np.uint8]]:
    """Luma and the two chromas, row after row."""
    import av

    seen = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24").reformat(format="yuv420p")
    flat: NDArray[np.uint8] = np.asarray(seen.to_ndarray(), np.uint8).reshape(-1)
    height, width = frame.shape[:2]
    area = height * width
    return [flat[:area], flat[area : area + area // 4], flat[area + area // 4 :]]


def vmaf_per_frame(prediction: Frame, reference: Frame, ffmpeg: str = "") -> NDArray[np.float64]:
    """VMAF of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), even sides of at least 64 px; frames in a row.
        reference: the same of what it is compared to.
        ffmpeg: path of one with libvmaf; "" looks for one.

    Returns:
        (T,), 0 to 100, higher is better; equal frames are near 97 to 100.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: no ffmpeg here measures it, or the frames are too small.

    Source:
        github.com/Netflix/vmaf, model vmaf_v0.6.1.

    Examples:
        >>> from lipbench.metrics.functional.vmaf import candidates
        >>> candidates("/opt/ffmpeg")
        ['/opt/ffmpeg']
    """
    a, b = as_clips(prediction, reference)
    path, _ = find(ffmpeg)
    with tempfile.TemporaryDirectory(prefix="lipbench-vmaf-") as folder:
        one = Vmaf(path, (a.shape[2], a.shape[1]), Path(folder))
        for step in zip(a, b, strict=True):
            one.push(*step)
        return one.finish()
