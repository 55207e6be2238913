"""CUDA graphs on the card that is none (`fake_device`): what is captured is kept as operations on memory, and a replay
runs these alone, no Python.

As on a real card, a capture computes nothing that lasts, refuses whatever waits for the card, asks it for a number, has
a shape that its numbers decide, or touches the host; and a replay sees what is in memory then, draws from the seed that
stands then, and knows a number of Python's only as it was when it was captured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from lipbench.core import optim
from lipbench.nerf.training import graph
from tests import fake_device

aten = torch.ops.aten
#: Torch's own words for operations that a graph cannot hold; the last one came after 2.4.
UNFIT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, getattr(torch.Tag, "cudagraph_unsafe", None)}


class Refused(RuntimeError):
    """What a card says to an operation that it cannot capture."""


class FakeGraph:
    """Stands for `torch.cuda.CUDAGraph`."""

    replays = 0

    def __init__(self) -> None:
        self.tape: list[tuple[Any, Any, Any, list[Tensor]]] = []

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Operations within are kept; when it ends, memory that was there before and the generator are as before."""
        run, seed = fake_device.on_card, torch.get_rng_state()
        made: set[int] = set()  # by the capture: its own memory
        before: dict[int, tuple[Tensor, Tensor]] = {}

        def on_card(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            if func.namespace == "profiler":
                return run(func, args, kwargs)
            refuse(func, args, kwargs)
            for value in _written(func, args, kwargs):
                if _place(value) not in made:
                    before.setdefault(_place(value), (value, value.clone()))
            found = run(func, args, kwargs)
            kept = _held([found])
            if not _is_view(func):
                given = {_place(each) for each in _held([args, list(kwargs.values())])}
                made.update(_place(each) for each in kept if _place(each) not in given)
                plain = {name: fake_device._mapped(value, fake_device._plain) for name, value in kwargs.items()}
                self.tape.append((func, fake_device._mapped(args, fake_device._plain), plain, kept))
            return found

        try:
            with mock.patch.object(fake_device, "on_card", on_card):
                yield
        finally:
            torch.set_rng_state(seed)
            for value, was in before.values():
                value.copy_(was)

    @torch.no_grad()
    def replay(self) -> None:
        """Run the operations again, in the same memory."""
        FakeGraph.replays += 1
        with _disable_current_modes():
            for func, args, kwargs, kept in self.tape:
                found = func(*args, **kwargs)
                again = found if isinstance(found, (list, tuple)) else [found]
                for new, old in zip([each for each in again if isinstance(each, Tensor)], kept, strict=True):
                    if new is not old:
                        old.copy_(new)


def refuse(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """As a card that captures.

    Raises:
        Refused: the operation waits for the card, or is not the card's at all.
    """
    name = func.name()
    flat: list[Any] = []
    fake_device._values(args, flat)
    fake_device._values(kwargs.values(), flat)
    tensors = [value for value in flat if isinstance(value, Tensor)]
    devices = [value for value in flat if isinstance(value, torch.device)]
    if any(not isinstance(value, fake_device.OnCard) for value in tensors) or any(d.type == "cpu" for d in devices):
        raise Refused(f"operation not permitted when stream is capturing: {name} touches the host")
    if not tensors and not devices:
        raise Refused(f"operation not permitted when stream is capturing: {name} makes a tensor of the host")
    if _waits(func, args, kwargs):
        raise Refused(f"operation not permitted when stream is capturing: {name} waits for the card")


def _waits(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    name = func.overloadpacket
    if name in (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_):
        masks = any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1])
        # Places that are added to are looked at on the host, but for autograd's own: those are `index_put` for tensors
        # that are none of torch's own classes, as here, else "unsafe".
        adds = name in (aten.index_put_, aten._index_put_impl_) and any(args[3:4]) and not any(args[4:5])
        return masks or adds
    if name is aten.multinomial:  # the odds of one draw, or of draws that are not put back, are checked
        return not (args[2:3] and args[2]) or args[1] == 1
    return bool(UNFIT & set(func.tags))


def _is_view(func: Any) -> bool:
    """Whether the answer lies where an argument does; also allocations, which write nothing."""
    aliases = [one.alias_info for one in func._schema.returns]
    name = func.name().split("::")[1].split(".")[0]
    return name.startswith(("empty", "new_empty")) or any(one is not None and not one.is_write for one in aliases)


def _written(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """Tensors that an operation changes."""
    given = [args[k] if k < len(args) else kwargs.get(one.name) for k, one in enumerate(func._schema.arguments)]
    changed = [
        value
        for value, one in zip(given, func._schema.arguments, strict=True)
        if one.alias_info is not None and one.alias_info.is_write
    ]
    return _held(changed)


def _held(given: Any) -> list[Tensor]:
    """The memory of all tensors of the card among arguments or results."""
    flat: list[Any] = []
    fake_device._values(given, flat)
    return [value.held for value in flat if isinstance(value, fake_device.OnCard)]


def _place(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


class _Stream:
    def __init__(self, device: Any = None) -> None:
        self.device = device

    def wait_stream(self, other: Any) -> None:
        """Everything runs in order here."""


@contextmanager
def card() -> Iterator[str]:
    """The card is there, has graphs, and Adam in one launch; gives its name."""
    with fake_device.card() as device, ExitStack() as changes:
        for one in (
            mock.patch.object(graph, "KINDS", (device,)),
            mock.patch.object(torch.cuda, "CUDAGraph", FakeGraph),
            mock.patch.object(torch.cuda, "graph", lambda made, stream: made.captured()),
            mock.patch.object(torch.cuda, "Stream", _Stream),
            mock.patch.object(torch.cuda, "stream", return_value=nullcontext()),
            mock.patch.object(torch.cuda, "current_stream", _Stream),
            mock.patch.object(optim, "adam_flags", return_value={"fused": True, "capturable": True}),
            mock.patch("torch.optim.adam._device_dtype_check_for_fused"),
        ):
            changes.enter_context(one)
        yield device
