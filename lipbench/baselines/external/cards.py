"""Which GPU an external method gets."""

from __future__ import annotations

import os

from lipbench.baselines.external.config import Definition
from lipbench.core.errors import Refused


def card_of(definition: Definition, device: str) -> str:
    """The word for the command's CUDA_VISIBLE_DEVICES: the card that `device` means in this process, "" on the CPU.

    Raises:
        Refused: reason "gpu_missing".
    """
    if device.startswith("cuda"):
        if definition.needs.min_vram_gb:
            import torch

            have = torch.cuda.get_device_properties(device).total_memory / 2**30
            if have < definition.needs.min_vram_gb:
                raise Refused(
                    f"{definition.name} needs {definition.needs.min_vram_gb:g} GB of GPU memory",
                    f"{device} has {have:.0f} GB",
                    "use a larger GPU",
                    reason="gpu_missing",
                )
        return _shown(definition, device)
    if definition.needs.gpu:
        raise Refused(f"{definition.name} needs a GPU", f"the job runs on {device}", "use a GPU", reason="gpu_missing")
    return ""


def _shown(definition: Definition, device: str) -> str:
    """The card behind "cuda:N": N counts those that this process may see, and the command would count from 0 again."""
    number = int(device.partition(":")[2] or 0)
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return str(number)
    cards = [word.strip() for word in shown.split(",") if word.strip()]
    if number >= len(cards):
        raise Refused(
            f"{definition.name} needs the GPU {device}",
            f"CUDA_VISIBLE_DEVICES shows {len(cards)} here",
            "leave the choice to lipbench: unset LIPBENCH_DEVICE",
            reason="gpu_missing",
        )
    return cards[number]
