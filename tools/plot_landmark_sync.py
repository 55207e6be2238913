"""The reliability curve of docs/landmark-sync.md.

    python -m tools.sync_on_people FOLDER --people people.csv --pairs people.npz
    python -m tools.plot_landmark_sync RUN people.npz docs/img/landmark_sync_reliability.png

RUN is the folder of a `lipbench train landmark-sync`; its held-out speech, half of it heard with somebody else's audio,
gives the other curve. For people it is the same: own audio and that of two others each, made equal in weight.
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
from lipbench.metrics.sync.landmark import score
from lipbench.metrics.sync.landmark.network import REACH
from lipbench.metrics.sync.landmark.similarity import belief, credited, offset
from lipbench.training.landmark_sync.calibrate import windows
from lipbench.training.landmark_sync.trainer import trainer
from tools.sync_on_people import BINS


def generated(run: Path) -> Any:
    """(N, 3) confidence, hit and weight of windows of 1, 2 and 5 s of the held-out speech."""
    training, net = trainer(Request(run)), score.load()
    turned = [(measures, training.test[k - 1][1]) for k, (measures, _) in enumerate(training.test)]
    found = []
    for pairs, own in ((training.test, True), (turned, False)):
        for seconds in (1, 2, 5):
            n = 25 * seconds - 2 * REACH
            for means in windows(net, pairs, seconds):
                told = offset(belief(means, n, net.certainty.numpy()))
                sure = credited(told, means, n, net.credit.numpy()).confidence
                found.append((sure, own and abs(told.frames) <= 1, 1.0))
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
                sure, right = np.average(at[:, :2], axis=0, weights=at[:, 2])
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
