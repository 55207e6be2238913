from . import config as config
from . import scene as scene
from . import trained as trained
from . import training as training
