from . import presets as presets
from . import trained as trained
from . import trainer as trainer
