"""What of a method file can change what a stage makes: its part in the stage's key."""

from __future__ import annotations

from typing import Any

from lipbench.baselines.external.config import Definition
from lipbench.core.keys import canonical

#: Of no stage: titles, places, how long something may take, who may be shown.
UNREAD = frozenset(
    {"timeout_s", "title", "paper", "licence", "paper_results", "caches", "status", "person", "deviations"}
)
#: Only what makes the dub.
_OF_DUBS = frozenset({"argv", "before", "entry", "request", "output", "post", "caps", "failures", "kind"})


def meaning(definition: Definition, kind: str) -> dict[str, Any]:
    """The fields that a stage ("prepare", "fit" or "synthesize") reads, as JSON.

    The stages before it have keys of their own, which are part of its key.
    """
    others = {"prepare", "fit"} - {kind}
    unread = UNREAD | others | (frozenset() if kind == "synthesize" else _OF_DUBS)
    content = definition.model_dump(mode="json", exclude=set(unread))
    content["repo"].pop("path")
    if content.get(kind):
        content[kind].pop("timeout_s")
    env = content["env"]
    for name in ("pass", "imports", "limit", "recipe"):  # what a recipe made is looked at itself
        env.pop(name)
    if definition.env.type in ("venv", "conda"):
        env.pop("name_or_path")
    if not isinstance(definition.env.service, str):
        env.pop("service")  # asked for; the answer is part of the key
    canonical(content)  # fails here, not deep in the planner, if a new field cannot be hashed
    return content
