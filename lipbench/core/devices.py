"""Which accelerators are here, and on which device torch computes. torch is imported only where it must answer.

Results do not depend on the device beyond rounding, so keys never hold it; the accelerators' names are recorded beside
every result.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from lipbench.core.errors import UsageError
from lipbench.core.precision import full_precision

#: What to compute on: auto (the default), cpu, cuda, cuda:N or mps.
VARIABLE = "LIPBENCH_DEVICE"

#: NVIDIA's management library; WSL2 keeps it where the loader may not look.
NVML = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
#: The driver's list of cards; WSL2 has none.
DRIVER = Path("/proc/driver/nvidia/gpus")
#: One of these exists wherever there may be a CUDA card: Linux's driver, WSL2's.
SIGNS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

_ASK_TORCH = """
import json, torch
print(json.dumps([torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]))
"""


def accelerators() -> list[str]:
    """Names of the CUDA cards of this machine, e.g. ["NVIDIA A100-SXM4-80GB"], whatever CUDA_VISIBLE_DEVICES hides.

    NVIDIA's management library is asked first (milliseconds): it answers under WSL2 too. Without it the driver's files
    are read. Where neither is there although a device file is, torch is asked, in a process of its own.
    """
    names = _from_nvml()
    if names is not None:
        return names
    if names := _from_driver():
        return names
    return list(_from_torch()) if any(sign.exists() for sign in SIGNS) else []


def visible() -> list[str]:
    """Words for CUDA_VISIBLE_DEVICES, one for each card that may be used: numbers, or the ids the user gave.

    As in CUDA, a list ends at its first invalid entry: "1,-1,0" shows card 1 alone.
    """
    count = len(accelerators())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not count:
        return [str(i) for i in range(count)]
    chosen: list[str] = []
    for word in (part.strip() for part in visible.split(",")):
        fits = int(word) < count if word.isdigit() else word.startswith(("GPU-", "MIG-"))
        if not fits:
            break
        if word not in chosen:
            chosen.append(word)
    return chosen


def cards() -> list[str]:
    """The part of `visible` that LIPBENCH_DEVICE leaves to hand out: none for "cpu" and "mps", one for "cuda:N".

    Raises:
        UsageError: as `asked_device`, or there is no card N.
    """
    asked = asked_device()
    if asked in ("cpu", "mps"):
        return []
    found = visible()
    _, _, number = asked.partition(":")
    if not number or not found:
        return found
    if int(number) >= len(found):
        raise _absent(asked, f"{len(found)} CUDA card(s) may be used here, counted from 0")
    return [found[int(number)]]


def asked_device() -> str:
    """What LIPBENCH_DEVICE asks for; "auto" when it is not set.

    Raises:
        UsageError: it holds something else than auto, cpu, cuda, cuda:N or mps.
    """
    return _known(os.environ.get(VARIABLE, ""), VARIABLE)


def choose_device(given: str = "cpu", asked: str | None = None, log: Callable[[str], None] = print) -> str:
    """The torch device to compute on: "cpu", "cuda", "cuda:N" or "mps".

    MPS (the GPU of a Mac) is used only when it is asked for: it has no float64 and not every operation, and a stage
    that needs what it lacks fails with torch's own error.

    Args:
        given: what this process was handed: a card ("cuda:N"; "cuda": any), or "cpu". "auto" means this.
        asked: what the user wants instead (None: LIPBENCH_DEVICE).
        log: takes a line when torch cannot use the card that was handed out and "auto" falls back to the CPU.

    Raises:
        UsageError: torch does not have the device that was asked for, or there is none of that name.
    """
    wanted = asked_device() if asked is None else _known(asked, "--device")
    if wanted == "cpu" or (wanted == "auto" and given == "cpu"):
        return "cpu"
    import torch

    if wanted == "mps":
        if not torch.backends.mps.is_available():
            raise _absent(wanted, "torch has no MPS device here: that takes a Mac with Apple silicon")
        return "mps"
    if torch.cuda.is_available():
        # Whoever hands out "cuda:N" has heard the user already: the one card that a worker sees is number 0.
        device = given if wanted == "auto" or given.startswith("cuda:") else wanted
        if int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
            raise _absent(device, f"torch sees {torch.cuda.device_count()} CUDA device(s)")
        full_precision()
        return device
    if wanted != "auto":
        raise _absent(wanted, "torch sees no CUDA device (is it a build for the CPU?)")
    log("this machine has a CUDA card, but torch cannot use it: computing on the CPU")
    return "cpu"


def _known(text: str, where: str) -> str:
    wanted = text.strip().lower() or "auto"
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d+|mps", wanted):
        raise UsageError(f"there is no device {text!r}", f"{where} names it", "use auto, cpu, cuda, cuda:N or mps")
    return wanted


def _absent(device: str, why: str) -> UsageError:
    return UsageError(f"the device {device} is not there", why, f"leave it to lipbench: unset {VARIABLE} or --device")


def _from_nvml() -> list[str] | None:
    """NVML's names in its order, None where it cannot be had (nvmlDeviceGetName gives at most 96 bytes)."""
    for file in NVML:
        try:
            nvml = ctypes.CDLL(file)
            if nvml.nvmlInit_v2() != 0:
                continue
        except (OSError, AttributeError):
            continue
        try:
            count = ctypes.c_uint()
            if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
                continue
            names = []
            for i in range(count.value):
                handle, name = ctypes.c_void_p(), ctypes.create_string_buffer(96)
                if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(i), ctypes.byref(handle)) == 0:
                    named = nvml.nvmlDeviceGetName(handle, name, ctypes.c_uint(96)) == 0
                    names.append(name.value.decode("utf-8", "replace") if named else "CUDA card")
            return names
        finally:
            nvml.nvmlShutdown()
    return None


def _from_driver() -> list[str]:
    names = []
    for info in sorted(DRIVER.glob("*/information")):
        try:
            lines = info.read_text().splitlines()
        except OSError:
            continue
        names += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
    return names


@cache
def _from_torch() -> tuple[str, ...]:
    env = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], env=env, capture_output=True, text=True, timeout=120, check=True
        )
        return tuple(json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return ()
