"""A graphics card that is none: tensors that compute on the CPU and say that they are on another device.

They mix with the CPU's as a real card's do: not at all, but for 0-dimensional tensors, copies and indices. A forgotten
`.to(device)` fails here as it fails there, and so does `.numpy()` without `.cpu()`. Nothing is said about speed, memory
or the rounding of a real card.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

#: Torch's device without memory lends its name: autograd asks `cuda` for streams, which no machine without one has.
DEVICE = "meta"
#: Operations whose tensors may lie on both sides.
MIXED = ("aten::copy_", "aten::index.Tensor", "aten::index_put", "aten::_index_put_impl", "aten::set_")


class OnCard(torch.Tensor):
    """A tensor on the card; `held` is where its numbers really are."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnCard:
        made: OnCard = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=torch.device(DEVICE)
        )
        made.held = held
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnCard({self.held!r})"

    def tolist(self) -> Any:
        return self.held.tolist()  # a real card's are brought over

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.detach().__reduce_ex__(protocol)  # saved as plain numbers: a real card's are mapped to the CPU

    def __deepcopy__(self, memo: Any) -> OnCard:
        made = OnCard(self.held.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made, self.requires_grad)  # type: ignore[assignment]
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return on_card(func, args, kwargs or {})


class _Card(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return on_card(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Torch makes tensors of numbers out of sight of what watches its operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.new_tensor:
            own, data, *_ = args
            device = kwargs.pop("device", own.device)
            return torch.tensor(data, **{"dtype": own.dtype, **kwargs}).to(device)
        return func(*args, **kwargs)


def on_card(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation: on plain tensors, with the results where a real card would leave them."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [value for value in flat if isinstance(value, torch.Tensor)]
    ours = [value for value in tensors if isinstance(value, OnCard)]
    devices = [value for value in flat if isinstance(value, torch.device)]
    name = func.name()
    if devices:
        stays = devices[0].type == "cpu"
        args, kwargs = tree_map_only(torch.device, lambda _: torch.device("cpu"), (args, kwargs))
    else:
        stays = not ours
    if ours and len(ours) < len(tensors) and not name.startswith(MIXED):
        strangers = [value for value in tensors if not isinstance(value, OnCard) and value.dim()]
        if strangers:
            raise RuntimeError(
                f"{name}: Expected all tensors to be on the same device, but found at least two devices, "
                f"{DEVICE} and cpu! (shapes {[tuple(v.shape) for v in ours]}, {[tuple(v.shape) for v in strangers]})"
            )
    if name.startswith("aten::copy_"):
        stays = not isinstance(args[0], OnCard)
    plain_args, plain_kwargs = tree_map_only(OnCard, lambda value: value.held, (args, kwargs))
    found = func(*plain_args, **plain_kwargs)
    if stays:
        return found
    held = {id(value.held): value for value in ours}
    made = tree_map_only(torch.Tensor, lambda value: held[id(value)] if id(value) in held else OnCard(value), found)
    return return_and_correct_aliasing(func, args, kwargs, made) if ours else made


def _no_grad(mode: bool) -> Any:
    return torch.no_grad() if mode else nullcontext()


@contextmanager
def card() -> Iterator[str]:
    """The card is there; gives its name."""
    with warnings.catch_warnings():
        # Torch believes that a network on a device without memory loses what is loaded into it.
        warnings.filterwarnings("ignore", ".*copying from a non-meta parameter.*")
        # Inference mode hides from what watches torch's operations which of them move between devices.
        with mock.patch.object(torch._C, "_InferenceMode", _no_grad), _Numbers(), _Card():
            yield DEVICE
