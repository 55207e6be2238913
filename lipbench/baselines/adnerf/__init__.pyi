from .audio import AudioFeatures as AudioFeatures
from .audio import extract as extract
from .audionet import AudioAttNet as AudioAttNet
from .audionet import AudioNet as AudioNet
from .audionet import codes as codes
