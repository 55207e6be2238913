from . import annotations as annotations
from .manifest import load_manifest as load_manifest
from .manifest import resolve as resolve
from .types import Clip as Clip
from .types import Dub as Dub
from .types import Licence as Licence
from .types import Manifest as Manifest
from .write import save_manifest as save_manifest
