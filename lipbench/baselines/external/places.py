"""Where checkouts and environments that lipbench makes lie."""

from __future__ import annotations

import os
from pathlib import Path

from lipbench.core.system import cache_folder


def repos() -> Path:
    """Where checkouts are looked for: $LIPBENCH_REPOS, else $XDG_CACHE_HOME/lipbench/repos, else ~/.cache/..."""
    if chosen := os.environ.get("LIPBENCH_REPOS"):
        return Path(chosen).expanduser()
    return cache_folder() / "lipbench" / "repos"


def envs() -> Path:
    """Where environments are made, with a record of each: below `repos()`, for both need room."""
    return repos() / ".envs"


def services() -> Path:
    """Where processes agree on how often a service is asked."""
    return cache_folder() / "lipbench" / "services"
