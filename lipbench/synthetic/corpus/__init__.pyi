from . import parallel as parallel
from . import spec as spec
