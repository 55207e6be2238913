"""Which pixels are head, neck, torso or background, and what is behind them.

    parser("projection").parse(frames, guide) -> Parsing      offline default; needs landmarks or a fitted silhouette
    parser("color")                                          the same without the optional person segmentation
    parser("bisenet"), parser("celebamask")                   networks, when the user has their weights
    truth_parsing(labels)                                     from the label maps of generated clips
    mend_heads(frames, parsing, guide, silhouette)            head masks put right by the fitted mesh
    clean_plate(frames, parsing) -> Plate                     the background behind the person
    head_over_plate(frames, parsing, plate)                   what a head's radiance field is trained on

Nothing here imports torch or OpenCV before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
