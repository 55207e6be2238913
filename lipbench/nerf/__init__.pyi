from . import config as config
from . import model as model
from . import relief as relief
from . import scene as scene
from . import scene_from_fit as scene_from_fit
from . import training as training
