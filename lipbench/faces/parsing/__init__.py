"""Which pixels are head, neck, torso or background, and what is behind them.

    parser("projection").parse(frames, guide) -> Parsing      offline default; needs landmarks or a fitted silhouette
    parser("colour")                                          the same without the optional person segmentation
    parser("bisenet"), parser("celebamask")                   networks, when the user has their weights
    truth_parsing(labels)                                     from the label maps of generated clips
    clean_plate(frames, parsing) -> Plate                     the background behind the person
    head_over_plate(frames, parsing, plate)                   what a head's radiance field is trained on

Nothing here imports torch or OpenCV before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.faces.parsing.choose import Parser as Parser
    from lipbench.faces.parsing.choose import parser as parser
    from lipbench.faces.parsing.choose import parser_weights as parser_weights
    from lipbench.faces.parsing.choose import parsers as parsers
    from lipbench.faces.parsing.plate import Plate as Plate
    from lipbench.faces.parsing.plate import clean_plate as clean_plate
    from lipbench.faces.parsing.plate import head_over_plate as head_over_plate
    from lipbench.faces.parsing.truth import truth_parsing as truth_parsing
    from lipbench.faces.parsing.types import HeadGuide as HeadGuide
    from lipbench.faces.parsing.types import Label as Label
    from lipbench.faces.parsing.types import Parsing as Parsing

_HOMES = {
    "Parser": "choose",
    "parser": "choose",
    "parser_weights": "choose",
    "parsers": "choose",
    "Plate": "plate",
    "clean_plate": "plate",
    "head_over_plate": "plate",
    "truth_parsing": "truth",
    "HeadGuide": "types",
    "Label": "types",
    "Parsing": "types",
}
__all__ = [
    "HeadGuide",
    "Label",
    "Parser",
    "Parsing",
    "Plate",
    "clean_plate",
    "head_over_plate",
    "parser",
    "parser_weights",
    "parsers",
    "truth_parsing",
]
__getattr__ = lazy(__name__, _HOMES)
