from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from lipbench.core import memory

#: Page faults of 50 arrays of 16 MB, made and freed, and resident MB before, between and after giving back.
COUNT = """
import json, resource
import numpy as np
from lipbench.core.memory import *

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

kept, before = KEEP, resident()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.empty(16 << 20, np.uint8)[:] = 1
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
between = resident()
give_back_freed_memory()
print(json.dumps([kept, faults, between - before, resident() - before]))
"""


def count(keep: bool, **env: str) -> list[float]:
    code = COUNT.replace("KEEP", "keep_freed_memory()" if keep else "False")
    words = [sys.executable, "-c", code]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_freed_memory_is_used_again_and_given_back(monkeypatch):
    env = {"PYTHONPATH": ":".join(sys.path)}
    _, anew, _, _ = count(False, MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072", **env)
    kept, again, held, after = count(True, **env)
    assert kept
    assert again < anew / 5
    assert held >= 15
    assert after < 8


def test_the_users_own_thresholds_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("mallopt was asked for"))
    assert not memory.keep_freed_memory()


def test_another_malloc_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed_memory()
    memory.give_back_freed_memory()
