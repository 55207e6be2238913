"""Clips, dubs and manifests; building them; the packaged demo.

load_manifest(path)        a manifest file
resolve(name_or_path)      a registered data set or a file
save_manifest(m, path)     write one
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
