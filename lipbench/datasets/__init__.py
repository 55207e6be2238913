"""Clips, dubs and manifests; building them; the generated corpus and the packaged demo.

load_manifest(path)        a manifest file
resolve(name_or_path)      a registered data set or a file
save_manifest(m, path)     write one
"""

from lipbench.datasets.manifest import load_manifest, resolve
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.datasets.write import save_manifest

__all__ = ["Clip", "Dub", "Licence", "Manifest", "load_manifest", "resolve", "save_manifest"]
