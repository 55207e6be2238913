"""`@kernel`: a numba function that compiles on first call and survives a read-only installation.

`numba.njit(cache=True)` raises while it decorates when neither the package folder nor the user's cache folder can be
written. Losing the cache costs a second or two per process; failing to import would cost the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile lazily (nothing happens on import), without the GIL, cached on disk where that is possible."""
    # "nnan"/"ninf" stay off: depth buffers hold infinities on purpose.
    flags = {"nsz", "arcp", "contract", "afn", "reassoc"}
    try:
        return numba.njit(cache=True, fastmath=flags, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.njit(cache=False, fastmath=flags, nogil=True, error_model="numpy")(function)
