"""How exactly a CUDA card takes products of float32: in full, but with TF32 in the radiance fields.

TF32 keeps 10 of 23 bits of each factor. Torch takes convolutions that way on a card unless it is told otherwise, and a
score would then say which card it was measured on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FULL, TF32 = "float32", "tf32"


def full_precision() -> None:
    """From here on products and convolutions of float32 are float32's in this process."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def field_products(device: Any) -> str:
    """What products are in `tensor_cores` on this device, for records: "float32" or "tf32"."""
    return TF32 if str(device).startswith("cuda") else FULL


@contextmanager
def tensor_cores(device: Any) -> Iterator[None]:
    """Products in TF32 while a radiance field learns or is shown on a CUDA card; elsewhere nothing changes.

    Args:
        device: a torch device or its name.
    """
    import torch

    if field_products(device) == FULL:
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
