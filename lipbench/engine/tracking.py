"""A run's numbers in a tracker of experiments, where one is installed: W&B, TensorBoard, MLflow.

Each gets the means over clips of every method, as tables have them, under "method/metric"; a mean that the table does
not have is left out. Nothing is uploaded here: what a tracker does with it is its own configuration.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.core.errors import UsageError

if TYPE_CHECKING:  # pandas, which a run needs when it ends, if at all
    from lipbench.reports.frame import Run

#: Where all runs stand together in W&B and MLflow.
PROJECT = "lipbench"
#: tracker -> (module, what pip calls it)
_MODULES = {
    "wandb": ("wandb", "wandb"),
    "tensorboard": ("torch.utils.tensorboard", "tensorboard"),
    "mlflow": ("mlflow", "mlflow"),
}

Tracker = Callable[[Path], None]


def tracker(name: str) -> Tracker:
    """What hands a run directory's numbers to a tracker.

    Args:
        name: wandb, tensorboard or mlflow.

    Raises:
        UsageError: it is not installed.
    """
    module, package = _MODULES[name]
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        why, fix = str(error).splitlines()[0], f"`pip install {package}`, or leave out `--log {name}`"
        raise UsageError(f"{name} is not installed", why, fix) from error
    send = {"wandb": _wandb, "tensorboard": _tensorboard, "mlflow": _mlflow}[name]

    def give(root: Path) -> None:
        from lipbench.reports.frame import load_run

        send(found, root, numbers(load_run(root)), about(root))

    return give


def numbers(run: Run) -> dict[str, float]:
    """ "method/metric" -> mean over clips, of every finite one."""
    from lipbench.reports.tables import build

    found = {}
    for table in build(run, everything=True) if not run.frame.empty else ():
        for row in table.rows:
            for column in table.columns:
                mean = row.entries[column.id].mean.mean
                if mean is not None and math.isfinite(mean):
                    # MLflow takes letters, digits and these; the others take anything.
                    found[f"{re.sub(r'[^A-Za-z0-9_. -]+', '-', row.method)}/{column.id}"] = mean
    return found


def about(root: Path) -> dict[str, str]:
    """What a tracker keeps of the request."""
    from lipbench.reports.frame import read_run

    known = read_run(root)
    made = known.get("provenance") or {}
    return {
        "run": str(known["name"]),
        "sync_model": str(known["sync_model"]),
        "protocol": str(known.get("protocol") or ""),
        "manifest": str(known.get("manifest") or ""),
        "manifest_digest": str(known.get("manifest_digest") or ""),
        "lipbench": str(made.get("lipbench") or ""),
        "commit": str(made.get("commit") or ""),
    }


def _wandb(module: Any, root: Path, values: Mapping[str, float], facts: Mapping[str, str]) -> None:
    run = module.init(project=PROJECT, name=root.name, config=dict(facts), dir=str(root))
    run.log(dict(values))
    run.finish()


def _tensorboard(module: Any, root: Path, values: Mapping[str, float], facts: Mapping[str, str]) -> None:
    with module.SummaryWriter(str(root / "tensorboard")) as writer:
        for name, value in values.items():
            writer.add_scalar(name, value, 0)
        for name, text in facts.items():
            writer.add_text(name, text, 0)


def _mlflow(module: Any, root: Path, values: Mapping[str, float], facts: Mapping[str, str]) -> None:
    module.set_experiment(PROJECT)
    with module.start_run(run_name=root.name):
        module.log_params({name: text for name, text in facts.items() if text})
        module.log_metrics(dict(values))
