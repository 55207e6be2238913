"""Networks of the demo are loaded once in a process, not for every dub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lipbench.baselines.makeittalk import stages as makeittalk
from lipbench.baselines.pcavs import stages as pcavs
from lipbench.baselines.speech2vid import stages as speech2vid
from lipbench.baselines.wav2lip import stages as wav2lip
from lipbench.core import weights
from lipbench.faces import pipeline


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("wav2lip-demo", lambda path: wav2lip._drawer(path, "cpu")),
        ("pcavs-demo", pcavs._ours),
        ("speech2vid-demo", speech2vid._load),
        ("makeittalk-demo", makeittalk._load_demo),
        ("demo-face", pipeline._demo_face),
    ],
)
def test_a_network_is_loaded_once(name: str, load: Callable[..., Any]) -> None:
    assert load(weights.path(name)) is load(weights.path(name))
