"""Where stages run. An executor starts tasks and reports outcomes; it knows neither plans nor stores."""

from __future__ import annotations

from lipbench.core.errors import UsageError
from lipbench.engine.executors.base import Executor, StageRequest, StageResult

__all__ = ["Executor", "StageRequest", "StageResult", "create"]


def create(name: str, workers: int | None) -> Executor:
    """An executor by name.

    Raises:
        UsageError: unknown, or its extra is not installed.
    """
    if name == "local":
        from lipbench.engine.executors.local import LocalExecutor

        return LocalExecutor(workers)
    if name == "ray":
        from lipbench.engine.executors.ray import RayExecutor

        return RayExecutor(workers)
    raise UsageError(f"there is no executor {name!r}", "known: local, ray", "use --executor local")
