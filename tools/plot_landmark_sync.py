"""The reliability curve of docs/landmark-sync.md.

    python -m tools.sync_on_people FOLDER --people people.csv --pairs people.npz
    python -m tools.plot_landmark_sync RUN people.npz docs/img/landmark_sync_reliability.png

RUN is the folder of a finished `lipbench train landmark-sync`; its held-out speech gives the other curve.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from lipbench.core.training import Request
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import belief, offset
from lipbench.training.landmark_sync.calibrate import windows
from lipbench.training.landmark_sync.trainer import trainer
from tools.sync_on_people import BINS


def generated(run: Path) -> Any:
    """(N, 2) confidence and hit of windows of 1 and 2 s of the held-out speech."""
    training = trainer(Request(run))
    net = LandmarkSync.read(run / training.file)
    found = []
    for seconds in (1, 2):
        for means in windows(net, training.test, seconds):
            told = offset(belief(means, 25 * seconds - 2 * REACH, net.certainty.numpy()))
            found.append((told.confidence, abs(told.frames) <= 1))
    return np.array(found, float)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("image", type=Path)
    args = parser.parse_args()
    _, axes = plt.subplots(figsize=(5, 4.2), dpi=110)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    with np.load(args.people) as z:
        people = z["pairs"]
    for name, pairs, color in (("generated, held out", generated(args.run), "#4477aa"), ("people", people, "#cc6677")):
        points = []
        for low, high in itertools.pairwise(BINS):
            at = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)]
            if len(at) >= 5:
                sure, right = at.mean(0)
                points.append((sure, right, 2 * np.sqrt(right * (1 - right) / len(at))))
        x, y, error = np.array(points).T
        axes.errorbar(x, y, error, marker="o", capsize=3, color=color, label=f"{name} (n = {len(pairs)})")
        print(name, np.round(points, 3).tolist(), len(pairs))
    axes.set(xlabel="confidence", ylabel="share with the offset within one frame", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    plt.tight_layout()
    plt.savefig(args.image)


if __name__ == "__main__":
    main()
