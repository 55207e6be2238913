"""What color tags mean for a comparison of two videos: which pairs are no pairs, and which need a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lipbench.core.by_file import remembered
from lipbench.media.pixels import SMPTE170M, UNSPECIFIED, Color
from lipbench.media.source import VideoSource

#: ITU-T H.273 numbers -> names for people.
HDR = {16: "PQ", 18: "HLG"}
MATRICES = {0: "RGB", 1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020"}
RANGES = {1: "limited", 2: "full"}
#: PAL's and NTSC's BT.601 have two numbers and one matrix; BT.2020's second number is for constant luminance.
SAME = {5: SMPTE170M, UNSPECIFIED: SMPTE170M}


@dataclass(frozen=True)
class ColorFacts:
    """The color of a file.

    Attributes:
        color: tags of its first frame.
        pix_fmt: how its pixels are stored.
        interlaced: its first frame is marked as two fields.
    """

    color: Color
    pix_fmt: str
    interlaced: bool


@remembered(kept=32)
def color_facts(path: Path) -> ColorFacts:
    """From a file's first frame.

    Raises:
        MediaError, NoVideo, Truncated: there is no frame to be had.
    """
    with VideoSource(path) as source:
        first = source.first
        return ColorFacts(Color.of(first), first.format.name, bool(first.interlaced_frame))


def is_hdr(color: Color) -> bool:
    """Whether the transfer curve is PQ or HLG."""
    return color.transfer in HDR


def words(color: Color) -> str:
    """Matrix, range and HDR curve: "BT.709 limited", "no color tags (read as BT.601 limited)"."""
    curve = f", HDR ({HDR[color.transfer]})" if is_hdr(color) else ""
    if color.matrix == 0:
        return f"RGB{curve}"
    matrix, limits = MATRICES.get(color.matrix), RANGES.get(color.range)
    if matrix is None and limits is None:
        return f"no color tags (read as BT.601 limited){curve}"
    if matrix is None:
        return f"no matrix tag (read as BT.601), {limits} range{curve}"
    return f"{matrix} {limits}{curve}" if limits else f"{matrix}, no range tag (read as limited){curve}"


def refusal(prediction: Color, other: Color, name: str) -> str | None:
    """Why two videos cannot be compared by their pixels; None when they can.

    Pixels of a PQ or HLG video mean other light than those of an SDR one: without tone mapping, and there is no one
    right tone mapping, their difference is none of pictures.

    Args:
        name: of the other: "reference", "truth".
    """
    if HDR.get(prediction.transfer) == HDR.get(other.transfer):
        return None
    mine, theirs = (HDR.get(c.transfer) for c in (prediction, other))
    return (
        f"color_mismatch: the prediction is {_curve(mine)}, the {name} {_curve(theirs)}: their pixels cannot be "
        "compared; bring both to one curve first (ffmpeg's filters zscale and tonemap)"
    )


def _curve(hdr: str | None) -> str:
    return "SDR" if hdr is None else f"HDR ({hdr})"


def remark(prediction: Color, other: Color, name: str) -> str | None:
    """What to say of two videos whose matrix or range tags differ; None when they mean the same.

    RGB files have neither: what was converted to RGB is right or wrong by then.
    """
    if prediction.matrix == 0 or other.matrix == 0 or _meaning(prediction) == _meaning(other):
        return None
    return (
        f"the color tags differ: the prediction has {words(prediction)}, the {name} {words(other)}; each is read by "
        "its own, so colors differ if a tag is wrong or was lost"
    )


def _meaning(color: Color) -> tuple[int, int]:
    """(matrix, range) that a reader goes by."""
    return SAME.get(color.matrix, color.matrix), 2 if color.range == 2 else 1
