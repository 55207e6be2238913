"""Clips, dubs and manifests; building them; the packaged demo.

load_manifest(path)        a manifest file
resolve(name_or_path)      a registered data set or a file
save_manifest(m, path)     write one
"""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy
from lipbench.datasets.manifest import load_manifest, resolve
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.datasets.write import save_manifest

__all__ = ["Clip", "Dub", "Licence", "Manifest", "load_manifest", "resolve", "save_manifest"]

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
