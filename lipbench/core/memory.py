"""Freed memory stays with the process for a while: glibc alone.

Its malloc asks the system anew for every block of more than 128 KiB to 32 MiB, and gives it back when it is freed. The
system clears each page before it hands it out. For arrays of pictures, made and freed many times a second, that was a
third of all CPU time.
"""

from __future__ import annotations

import ctypes
import os

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: The largest that glibc takes for it, bytes; larger blocks go their own way.
_LARGEST = 32 << 20
#: Free memory at the end of the heap that is kept, bytes.
KEPT = 256 << 20


def keep_freed_memory() -> bool:
    """From now on this process keeps up to `KEPT` bytes that it freed. No other number changes.

    Returns:
        Whether that could be had: not on other systems, nor where the environment sets glibc's thresholds itself.
    """
    if any(name.startswith(("MALLOC_TRIM", "MALLOC_MMAP")) for name in os.environ):
        return False
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST) and libc.mallopt(_M_TRIM_THRESHOLD, KEPT))
    except (OSError, AttributeError):
        return False


def give_back_freed_memory() -> None:
    """Let others have what was freed so far."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass
