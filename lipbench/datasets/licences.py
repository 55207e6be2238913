"""Licences of footage: a closed list, so that a data set can be filtered by what its clips allow.

Ids are SPDX identifiers where there is one. "other" needs a URL of the text.
"""

from __future__ import annotations

from typing import Literal

Commercial = Literal["yes", "no", "ask"]

#: id -> whether commercial use is allowed as a rule ("ask": the text or the owner says).
LICENCES: dict[str, Commercial] = {
    "Apache-2.0": "yes",
    "BSD-3-Clause": "yes",
    "MIT": "yes",
    "CC0-1.0": "yes",
    "CC-BY-2.0": "yes",
    "CC-BY-3.0": "yes",
    "CC-BY-4.0": "yes",
    "CC-BY-SA-2.0": "yes",
    "CC-BY-SA-3.0": "yes",
    "CC-BY-SA-4.0": "yes",
    "CC-BY-ND-4.0": "yes",
    "CC-BY-NC-4.0": "no",
    "CC-BY-NC-SA-4.0": "no",
    "CC-BY-NC-ND-4.0": "no",
    "CDLA-Permissive-2.0": "yes",
    "public-domain": "yes",
    "research-only": "no",
    "proprietary": "ask",
    "other": "ask",
}

#: Ids that say nothing without the text behind them.
NEED_URL = frozenset({"other"})


def commercial(licence_id: str) -> Commercial:
    """Whether footage under this licence may be used commercially, as a rule. Not legal advice."""
    return LICENCES[licence_id]
