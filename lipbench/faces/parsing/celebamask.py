"""The 19 classes of CelebAMask-HQ in the two orders that networks use, and what they mean here.

The orders differ, and mixing them up drops the neck: face-parsing.PyTorch (prepropess_data.py) numbers the classes its
own way, the data set's own parser (switchablenorms/CelebAMask-HQ face_parsing/README.md) another way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing.types import Label

BISENET_CLASSES = (
    "background",
    "skin",
    "l_brow",
    "r_brow",
    "l_eye",
    "r_eye",
    "eye_g",
    "l_ear",
    "r_ear",
    "ear_r",
    "nose",
    "mouth",
    "u_lip",
    "l_lip",
    "neck",
    "neck_l",
    "cloth",
    "hair",
    "hat",
)
UNET_CLASSES = (
    "background",
    "skin",
    "nose",
    "eye_g",
    "l_eye",
    "r_eye",
    "l_brow",
    "r_brow",
    "l_ear",
    "r_ear",
    "mouth",
    "u_lip",
    "l_lip",
    "hair",
    "hat",
    "ear_r",
    "neck_l",
    "neck",
    "cloth",
)

_MEANING = {"background": Label.BACKGROUND, "neck": Label.NECK, "neck_l": Label.NECK, "cloth": Label.TORSO}


def table(classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """(n_classes,) network class -> `Label`."""
    return np.array([_MEANING.get(name, Label.HEAD) for name in classes], np.uint8)
