from .compositor import Compositor as Compositor
from .compositor import Layers as Layers
from .inpaint import Inpainter as Inpainter
from .options import CompositeOptions as CompositeOptions
from .options import Render as Render
