from . import api as api
from . import config as config
from . import outcome as outcome
from . import plan as plan
from . import runner as runner
from . import score as score
