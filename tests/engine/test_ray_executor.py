"""The Ray executor on a cluster of one node; skips where the extra is not installed."""

from __future__ import annotations

import os

import pytest

from lipbench.core.errors import UsageError
from lipbench.engine import api, executors
from lipbench.engine.runner import RunOptions


def test_unknown_executor_and_missing_extra():
    with pytest.raises(UsageError, match="known: local, ray"):
        executors.create("slurm", None)
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"lipbench\[ray\]"):
            executors.create("ray", None)


@pytest.mark.slow
def test_the_same_scores_through_ray(manifest, tmp_path):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}})
    try:
        request = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy", "fake-raises"], "clips": ["one"]}
        values = {}
        for name in ("ray", "local"):
            prepared = api.prepare(request, out=tmp_path / name, manifest=manifest)
            result = api.execute(prepared, executor=name, workers=2, quiet=True)
            values[name] = [
                (c["method"], c["language"], c["status"], c["metrics"]["gray"]["value"]) for c in result.cells
            ]
        assert values["ray"] == values["local"]
        assert {status for _, _, status, _ in values["ray"]} == {"ok", "error"}
        prepared = api.prepare({**request, "methods": ["fake-hangs"]}, out=tmp_path / "hang", manifest=manifest)
        options = RunOptions(timeout_s=5, retries=0)
        result = api.execute(prepared, executor="ray", workers=3, options=options, quiet=True)
        assert {c["status"] for c in result.cells} == {"timeout"}
    finally:
        ray.shutdown()
