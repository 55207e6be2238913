from . import config as config
from . import model as model
from . import scene as scene
from . import training as training
