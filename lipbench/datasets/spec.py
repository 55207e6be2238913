"""The data sets that come with the package."""

from __future__ import annotations

DATASETS = {"demo": "lipbench.datasets.demo:manifest"}
