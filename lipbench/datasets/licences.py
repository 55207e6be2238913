"""Licences of footage: a closed list, so that a data set can be filtered by what its clips allow.

Ids are SPDX identifiers where there is one. "other" needs a URL of the text.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from lipbench.core.errors import UsageError
from lipbench.datasets.types import Licence

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


@dataclass(frozen=True)
class Rights:
    """What a licence allows as a rule. Not legal advice, and no word about the person who is shown.

    Attributes:
        commercial: use for money.
        share_altered: whether altered copies (every dub is one) may be given to others.
        name_author: whether its author has to be named.
        same_licence: whether altered copies have to be under the same licence.
    """

    commercial: Commercial
    share_altered: Commercial
    name_author: bool
    same_licence: bool

    def words(self) -> str:
        """For people."""
        under = [*(["the author named"] if self.name_author else [])]
        under += ["under the same licence"] if self.same_licence else []
        shared = {"yes": "may be shared", "no": "must not be shared", "ask": "may be shared if the owner says so"}
        how = f", {', '.join(under)}" if under and self.share_altered != "no" else ""
        use = {"yes": "commercial use: yes", "no": "commercial use: no", "ask": "commercial use: ask the owner"}
        return f"{use[self.commercial]}; dubs of it {shared[self.share_altered]}{how}"


def rights(licence_id: str) -> Rights:
    """What footage under a licence may be used for, as a rule."""
    parts = licence_id.split("-")
    free = licence_id in ("CC0-1.0", "public-domain")
    altered: Commercial = "yes"
    if "ND" in parts or licence_id == "research-only":
        altered = "no"
    elif licence_id in ("proprietary", "other"):
        altered = "ask"
    return Rights(LICENCES[licence_id], altered, not free and altered != "no", "SA" in parts)


def licence_of(name: str, url: str = "") -> Licence:
    """The licence of that id.

    Raises:
        UsageError: an id that is not on the list, or one that needs a URL.
    """
    if name not in LICENCES:
        near = difflib.get_close_matches(name, LICENCES, n=1)
        known = f"did you mean {near[0]}?" if near else f"known: {', '.join(LICENCES)}"
        raise UsageError(
            f"there is no licence called {name!r}", known, "for any other: --licence other --licence-url URL"
        )
    if name in NEED_URL and not url:
        raise UsageError(f'licence "{name}" needs a URL', "", "give --licence-url")
    return Licence(name, url)
