"""Parsers by name."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import UnknownName
from lipbench.faces.parsing.types import WEIGHTS, HeadGuide, Parsing

#: name -> what it is; the first is the default.
PARSERS = {
    "projection": "landmarks or the fitted head, person segmentation and colors; needs no licensed weights",
    "color": "the same with colors alone, even where the weights for person segmentation are",
    "bisenet": "BiSeNet of face-parsing.PyTorch (AD-NeRF's parser); weights bisenet_face",
    "celebamask": "the U-Net of CelebAMask-HQ (MaskGAN's, the paper's parser); weights celebamask_unet",
}


class Parser(Protocol):
    """What labels frames.

    Attributes:
        name: goes into `Parsing.parser`.
    """

    name: str

    def parse(self, frames: NDArray[np.uint8], guide: HeadGuide | None = None) -> Parsing:
        """Labels of frames (T, H, W, 3) uint8 RGB."""


def parsers() -> list[str]:
    """Names that `parser` knows, the default first."""
    return list(PARSERS)


def parser(name: str = "projection", **options: Any) -> Parser:
    """The named parser; options go to its class (`ProjectionParser`, `NetworkParser`).

    Raises:
        UnknownName: no such parser.
        WeightsMissing: a network's weights are not here.
    """
    if name in ("projection", "color"):
        from lipbench.faces.parsing.projection import ProjectionParser

        if name == "color":
            options["person"] = "color"
        return ProjectionParser(**options)
    if name in PARSERS:
        from lipbench.faces.parsing.network_parser import NetworkParser

        return NetworkParser(name, **options)
    raise UnknownName(f"there is no parser called {name!r}", f"known: {', '.join(PARSERS)}", "choose one of them")


def parser_weights(name: str) -> tuple[str, ...]:
    """The registered weights that the named parser would use here, for a stage's key.

    A network's must be there; the default parser takes those for person segmentation when it finds them.
    """
    if name not in WEIGHTS or (name == "projection" and not weights.available(WEIGHTS[name])):
        return ()
    return (WEIGHTS[name],)
