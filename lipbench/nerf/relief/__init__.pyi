from . import config as config
from . import scene as scene
from . import sides as sides
from . import sides_training as sides_training
from . import trained as trained
from . import training as training
