"""`@kernel`: a numba function that compiles on first call and survives a read-only installation.

`numba.njit(cache=True)` raises while it decorates when neither the package folder nor the user's cache folder can be
written. Losing the cache costs a second or two per process; failing to import would cost the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# "nnan" and "ninf" stay off: depth buffers hold infinities on purpose.
_OPTIONS: dict[str, Any] = {
    "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"},
    "nogil": True,
    "error_model": "numpy",
}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile lazily (nothing happens on import), without the GIL, cached on disk where that is possible."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return numba.njit(**_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that is copied into its callers.

    A call that takes arrays counts references to them, atomically; inside a loop over pixels that costs more than the
    arithmetic.
    """
    return numba.njit(inline="always", **_OPTIONS)(function)
