"""MakeItTalk (Zhou et al., SIGGRAPH Asia 2020): networks, landmark rules, drawing and the method.

    ContentBranch, SpeakerBranch, AutoVC, ImageTranslator     the networks; published state dicts load as they are
    NetworkPainter, Warp                                      pictures from landmarks
    MakeItTalk                                                the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.makeittalk.autovc import AutoVC as AutoVC
    from lipbench.baselines.makeittalk.drawing import NetworkPainter as NetworkPainter
    from lipbench.baselines.makeittalk.drawing import Warp as Warp
    from lipbench.baselines.makeittalk.image_net import ImageTranslator as ImageTranslator
    from lipbench.baselines.makeittalk.landmark_nets import ContentBranch as ContentBranch
    from lipbench.baselines.makeittalk.landmark_nets import SpeakerBranch as SpeakerBranch
    from lipbench.baselines.makeittalk.method import MakeItTalk as MakeItTalk

_HOMES = {
    "AutoVC": "autovc",
    "NetworkPainter": "drawing",
    "Warp": "drawing",
    "ImageTranslator": "image_net",
    "ContentBranch": "landmark_nets",
    "SpeakerBranch": "landmark_nets",
    "MakeItTalk": "method",
}
__all__ = ["AutoVC", "ContentBranch", "ImageTranslator", "MakeItTalk", "NetworkPainter", "SpeakerBranch", "Warp"]
__getattr__ = lazy(__name__, _HOMES)
