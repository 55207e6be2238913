from . import baselines as baselines
from . import core as core
from . import datasets as datasets
from . import engine as engine
from . import faces as faces
from . import lipnerf as lipnerf
from . import media as media
from . import metrics as metrics
from . import nerf as nerf
from . import reports as reports
from . import synthetic as synthetic
from . import training as training
from .engine.api import run as run

__version__: str
