"""Methods in their own environments: a YAML file, a subprocess, files handed over. See docs/external-methods.md.

load_external("latentsync.yaml")     the method that a file describes
json_schema()                        of such files, for editors
doctor(read("latentsync.yaml"))      is everything there?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.external.checkout import Finding as Finding
    from lipbench.baselines.external.checkout import doctor as doctor
    from lipbench.baselines.external.config import Definition as Definition
    from lipbench.baselines.external.method import External as External
    from lipbench.baselines.external.method import ExternalMethod as ExternalMethod
    from lipbench.baselines.external.method import load_external as load_external
    from lipbench.baselines.external.reading import MethodFile as MethodFile
    from lipbench.baselines.external.reading import json_schema as json_schema
    from lipbench.baselines.external.reading import read as read

_HOMES = {
    "Finding": "checkout",
    "doctor": "checkout",
    "Definition": "config",
    "External": "method",
    "ExternalMethod": "method",
    "load_external": "method",
    "MethodFile": "reading",
    "json_schema": "reading",
    "read": "reading",
}
__all__ = [
    "Definition",
    "External",
    "ExternalMethod",
    "Finding",
    "MethodFile",
    "doctor",
    "json_schema",
    "load_external",
    "read",
]
__getattr__ = lazy(__name__, _HOMES)
