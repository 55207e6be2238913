"""Methods in their own environments: a YAML file, a subprocess, files handed over. See docs/external-methods.md.

load_external("latentsync.yaml")     the method that a file describes
json_schema()                        of such files, for editors
doctor(read("latentsync.yaml"))      is everything there?
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
