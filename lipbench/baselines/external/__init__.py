"""Methods in their own environments: a YAML file, a subprocess, files handed over. See docs/external-methods.md.

load_external("latentsync.yaml")     the method that a file describes
json_schema()                        of such files, for editors
doctor(read("latentsync.yaml"))      is everything there?
"""

from lipbench.baselines.external.checkout import Finding, doctor
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.method import External, ExternalMethod, load_external
from lipbench.baselines.external.reading import Located, json_schema, read

__all__ = [
    "Definition",
    "External",
    "ExternalMethod",
    "Finding",
    "Located",
    "doctor",
    "json_schema",
    "load_external",
    "read",
]
