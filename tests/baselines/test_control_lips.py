"""Controls on generated clips hand over the lips they show."""

from __future__ import annotations

import numpy as np

from lipbench.baselines.jobs import lips_of
from lipbench.core.method import ClipInput, Job


def test_lips_follow_the_frames(tmp_path):
    lips = np.arange(4 * 2 * 3, dtype=np.float32).reshape(4, 2, 3)
    np.savez(tmp_path / "a.npz", lip_vertices=lips)
    clip = ClipInput("c", tmp_path / "v.mp4", None, 25, 4, 64, 48, "en")
    job = Job(out=tmp_path, clip=clip, params=None)
    made = lips_of(tmp_path / "a.npz", [0, 0, 1, 3, 9], job)
    with np.load(made["annotations"]) as z:
        assert np.array_equal(z["lip_vertices"], lips[[0, 0, 1, 3, 3]])
    assert lips_of(None, [0], job) == {}
