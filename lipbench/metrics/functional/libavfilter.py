"""Measures that FFmpeg's filters compute: XPSNR, VIF, and spatial and temporal information. PyAV carries the filters.

    xpsnr   Helmrich et al., "XPSNR: a low-complexity extension of the perceptually weighted peak signal-to-noise ratio
            for high-resolution video quality assessment", ICASSP 2020; of the luma
    vif     Sheikh, Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006; of the luma at four scales
    siti    ITU-T P.910; of the luma in full range

The filters see 4:2:0 YUV (BT.601, limited range), as videos hold it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.metrics.arrays import Frame, as_clips

_TICK = Fraction(1, 25)
#: Beginning of the names under which a filter leaves its numbers with each frame.
LEFT = {"xpsnr": "lavfi.xpsnr.xpsnr.", "vif": "lavfi.vif.scale.", "siti": "lavfi.siti."}
#: Shorter side of the smallest image, px: VIF halves it three times, and in frames of fewer than 2025 px XPSNR divides
#: by a block size of 0, which ends the process.
SMALLEST = 64


def version() -> str:
    """Of the libavfilter that PyAV carries, "11.14.102"."""
    import av

    return ".".join(str(n) for n in av.library_versions["libavfilter"])


def missing(name: str) -> Unsupported | None:
    """Why a filter cannot be used here; None where it is there."""
    import av.filter

    if name in av.filter.filters_available:
        return None
    return Unsupported(
        f"there is no filter {name}",
        f"the libavfilter {version()} of this PyAV was built without it",
        "run `pip install --force-reinstall --only-binary :all: av`",
    )


class Filter:
    """One filter that takes frame after frame.

    Args:
        name: of the filter.
        size: width and height of the frames, px.
        inputs: how many videos it takes.

    Raises:
        Unsupported: there is no such filter here, or the frames are too small for it.
    """

    def __init__(self, name: str, size: tuple[int, int], inputs: int = 1) -> None:
        import av
        import av.filter

        if (why := missing(name)) is not None:
            raise why
        if min(size) < SMALLEST:
            raise Unsupported(
                f"frames of {size[0]} x {size[1]} px cannot be measured by {name}",
                f"{SMALLEST} x {SMALLEST} px are needed",
                "measure larger frames",
            )
        self.name, self._t = name, 0
        self._graph = av.filter.Graph()
        self._graph.threads = 1  # frames are small work
        seen = av.VideoFormat("yuv420p")
        made = [
            self._graph.add_buffer(width=size[0], height=size[1], format=seen, time_base=_TICK) for _ in range(inputs)
        ]
        # Numbers go with the frames, which PyAV before 18.1 does not show: so they are printed, too.
        self._printed = tempfile.NamedTemporaryFile("r", encoding="ascii", suffix=".txt")  # noqa: SIM115 - as long as the filter
        one, self._sink = self._graph.add(name), self._graph.add("buffersink")
        printer = self._graph.add("metadata", mode="print", file=self._printed.name, direct="1")
        for i, source in enumerate(made):
            source.link_to(one, 0, i)
        one.link_to(printer)
        printer.link_to(self._sink)
        self._graph.configure()
        self._sources = made

    def __call__(self, *frames: Frame) -> dict[str, float]:
        """The filter's numbers of the next (H, W, 3) uint8 RGB frame of each video, by the ends of their names."""
        import av

        for source, frame in zip(self._sources, frames, strict=True):
            given = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24").reformat(format="yuv420p")
            given.pts, given.time_base = self._t, _TICK
            source.push(given)
        self._t += 1
        self._sink.pull()
        told, start = (line.strip().partition("=") for line in self._printed), LEFT[self.name]
        return {key.removeprefix(start): float(value) for key, _, value in told if key.startswith(start)}


def _frames(name: str, keys: Sequence[str], *videos: Frame) -> NDArray[np.float64]:
    """(T, keys)."""
    one = Filter(name, (videos[0].shape[2], videos[0].shape[1]), len(videos))
    return np.array([[found[key] for key in keys] for found in (one(*step) for step in zip(*videos, strict=True))])


def xpsnr_per_frame(prediction: Frame, reference: Frame) -> NDArray[np.float64]:
    """XPSNR of the luma of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 64 x 64 px; frames in a row, at up to 32 fps.
        reference: the same of what it is compared to.

    Returns:
        (T,) dB, +inf where the luma is equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: the filter is not here, or the frames are too small.

    Source:
        Helmrich et al., ICASSP 2020.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import xpsnr_per_frame
        >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        >>> xpsnr_per_frame(noise, noise)
        array([inf])
    """
    return _frames("xpsnr", ["y"], *as_clips(prediction, reference))[:, 0]


def vif_per_frame(prediction: Frame, reference: Frame) -> NDArray[np.float64]:
    """VIF of the luma of every frame at four scales, each half of the one before.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 64 x 64 px.
        reference: the same of what it is compared to.

    Returns:
        (T, 4), 1 when equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: the filter is not here, or the frames are too small.

    Source:
        Sheikh, Bovik, IEEE TIP 15(2), 2006.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import vif_per_frame
        >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        >>> vif_per_frame(noise, noise)
        array([[1., 1., 1., 1.]])
    """
    return _frames("vif", ["0", "1", "2", "3"], *as_clips(prediction, reference))


def siti_per_frame(frames: Frame) -> NDArray[np.float64]:
    """Spatial and temporal information of every frame.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 64 x 64 px.

    Returns:
        (T, 2): deviation of the Sobel-filtered luma, and of its change since the frame before (0 in the first), in gray
        levels.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: the filter is not here, or the frames are too small.

    Source:
        ITU-T P.910.
    """
    return _frames("siti", ["si", "ti"], as_clips(frames, frames)[0])
