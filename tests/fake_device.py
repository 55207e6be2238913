"""A graphics card that is none: tensors that compute on the CPU and say that they are on another device.

They mix with the CPU's as a real card's do: not at all, but for 0-dimensional tensors, copies and indices. A forgotten
`.to(device)` fails here as it fails there, and so does `.numpy()` without `.cpu()`. Nothing is said about speed, memory
or the rounding of a real card.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

#: Torch's device without memory lends its name: autograd asks `cuda` for streams, which no machine without one has.
DEVICE = "meta"
#: Operations whose tensors may lie on both sides.
MIXED = ("aten::copy_", "aten::index.Tensor", "aten::index_put", "aten::_index_put_impl", "aten::set_")


class OnCard(torch.Tensor):
    """A tensor on the card; `held` is where its numbers really are."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # results are made where operations run, below

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
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and keeping the compiler away costs more than most operations

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return on_card(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Torch makes tensors of numbers out of sight of what watches its operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") is not None:
            kwargs = dict(kwargs)
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.new_tensor:
            own, data, *_ = args
            kwargs = dict(kwargs)
            device = kwargs.pop("device", own.device)
            return torch.tensor(data, **{"dtype": own.dtype, **kwargs}).to(device)
        return func(*args, **kwargs)


def on_card(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation: on plain tensors, with the results where a real card would leave them."""
    flat: list[Any] = []
    _values(args, flat)
    _values(kwargs.values(), flat)
    ours = [value for value in flat if isinstance(value, OnCard)]
    device = next((value for value in flat if isinstance(value, torch.device)), None)
    if ours and len(ours) < len(flat):
        _refuse_both_sides(func.name(), ours, flat)
    if func.overloadpacket is torch.ops.aten.copy_:
        stays = not isinstance(args[0], OnCard)
    else:
        stays = not ours if device is None else device.type == "cpu"
    found = func(*_mapped(args, _plain), **{name: _mapped(value, _plain) for name, value in kwargs.items()})
    if stays:
        return found
    held = {id(value.held): value for value in ours}

    def brought(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return held[id(value)] if id(value) in held else OnCard(value)

    made = _mapped(found, brought)
    return return_and_correct_aliasing(func, args, kwargs, made) if ours and _aliases(func) else made


def _refuse_both_sides(name: str, ours: list[OnCard], flat: list[Any]) -> None:
    """As a real card does where an operation gets tensors of the CPU as well."""
    strangers = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, OnCard) and x.dim()]
    if strangers and not name.startswith(MIXED):
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found at least two devices, "
            f"{DEVICE} and cpu! (shapes {[tuple(v.shape) for v in ours]}, {[tuple(v.shape) for v in strangers]})"
        )


# Torch's own trees of arguments know any container; operations only get lists, and there are 100,000s of them.


def _values(given: Any, found: list[Any]) -> None:
    """Add the tensors and devices among the arguments of an operation."""
    for value in given:
        if isinstance(value, (torch.Tensor, torch.device)):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            _values(value, found)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """An argument or result, with what lies in lists changed too."""
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(each, change) for each in value])
    return change(value)


def _plain(value: Any) -> Any:
    if isinstance(value, OnCard):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


@functools.cache
def _aliases(func: Any) -> bool:
    """Whether an operation answers with what it was given, or a view of it."""
    return any(one.alias_info is not None for one in func._schema.returns)


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
