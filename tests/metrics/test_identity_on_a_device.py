"""The networks of csim_dlib and FID on a device that is not the CPU: a forgotten `.to(device)` fails here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lipbench.metrics.functional import dlib_resnet, inception


def card():
    """The fake device of tests/fake_device.py."""
    spec = importlib.util.spec_from_file_location("fake_device", Path(__file__).parents[1] / "fake_device.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.card()


FACE = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
NETWORKS = {
    "dlib": (dlib_resnet.DlibResnet, lambda net: dlib_resnet.embed(net, FACE)),
    "inception": (inception.Inception, lambda net: inception.features(net, FACE[None])),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_there_what_it_does_here(name):
    make, run = NETWORKS[name]
    net = make().eval()
    here = run(net)
    with card() as device:
        there = run(net.to(device))
    assert isinstance(there, np.ndarray)
    assert there == pytest.approx(here, rel=1e-4, abs=1e-5)
