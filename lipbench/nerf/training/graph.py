"""A step of a training as one CUDA graph: a thousand launches of kernels become one.

What is captured is kernels and the places in memory that they read and write. No Python runs when a graph is replayed,
so a step that is captured

- has shapes that no number on the card decides, asks for none of them, and brings nothing over from the host;
- finds what changes from step to step in tensors that stay in their places: the rates, Adam's moments and its count.
  Draws are torch's care: a replay takes them from the seed that stands then, as the plain step would;
- leaves what it found in the same tensors every time: read them before the next step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lipbench.core.errors import LipbenchError, UsageError

#: Steps before the capture: libraries and Adam set up their memory in the first one, which no capture may.
WARM = 3
#: Kinds of devices that have graphs.
KINDS = ("cuda",)
LEAVE_OUT = "leave the setting `graph` out"
#: What records say of a field that was trained so.
NOTE = "steps were replayed as a CUDA graph, which has not been compared with plain steps on a card yet"


class NotCaptured(LipbenchError):
    """A step that no graph can hold."""

    reason = "not_captured"
    kept = False  # another card or another torch may do it


def check(device: str) -> None:
    """Refuse devices without graphs.

    Raises:
        UsageError: the device is no CUDA card.
    """
    if torch.device(device).type not in KINDS:
        raise UsageError(
            "`graph: true` needs a CUDA card",
            f"this training computes on {device}, which knows no graphs",
            f"{LEAVE_OUT}, or train on a card (LIPBENCH_DEVICE=cuda)",
            kept=False,
        )


class GraphedStep:
    """Runs a step; after `WARM` calls as a graph.

    Args:
        body: the step; gives tensors.
        device: a card.
    """

    def __init__(self, body: Callable[[], tuple[Tensor, ...]], device: str) -> None:
        self.body, self.device, self.calls = body, device, 0
        # Of warming up and capture alike: libraries set themselves up for each stream.
        self.stream = torch.cuda.Stream(device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.found: tuple[Tensor, ...] = ()

    def __call__(self) -> tuple[Tensor, ...]:
        """One step.

        Returns:
            What the body gave: tensors that the next call fills anew.

        Raises:
            NotCaptured: the body does what no graph can hold.
        """
        if self.calls < WARM:
            self._beside()
        else:
            if self.graph is None:
                self._capture()
            assert self.graph is not None
            self.graph.replay()
        self.calls += 1
        return self.found

    def _beside(self) -> None:
        """The body as it is, on the stream of the capture."""
        here = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            self.found = self.body()
        here.wait_stream(self.stream)

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.found = self.body()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise NotCaptured("the training's step cannot be captured", f"torch says: {error}", LEAVE_OUT) from error
        self.graph = graph
