from . import composite as composite
from . import expression as expression
from . import fitting as fitting
from . import method as method
from . import params as params
