from .autovc import AutoVC as AutoVC
from .drawing import NetworkPainter as NetworkPainter
from .drawing import Warp as Warp
from .image_net import ImageTranslator as ImageTranslator
from .landmark_nets import ContentBranch as ContentBranch
from .landmark_nets import SpeakerBranch as SpeakerBranch
from .method import MakeItTalk as MakeItTalk
