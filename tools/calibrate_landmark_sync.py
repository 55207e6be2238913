"""Fit the calibration of a trained sync model on landmarks anew; its networks stay as they are to the last bit.

    python -m tools.calibrate_landmark_sync WEIGHTS RUN -o landmark-sync.npz

RUN is the folder of `lipbench train landmark-sync`, whose cache has the held-out speech (spoken anew where it is not
there). Only `credit` changes: how sure an offset is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from lipbench.core.training import Request
from lipbench.training.landmark_sync import calibrate
from lipbench.training.landmark_sync.trainer import trainer


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    with np.load(args.weights, allow_pickle=False) as z:
        info = json.loads(str(z["__info__"]))
        state = {name: torch.from_numpy(z[name].astype(np.float32)) for name in z.files if name != "__info__"}
    training = trainer(Request(out=args.run, seed=info["seed"], log=print))
    net = training.net.eval()
    net.load_state_dict({"credit": net.credit, **state})
    calibrate.fit_credit(net, training.test, training.seed)
    print("credit", net.credit.tolist())
    net.save(args.output, {name: value for name, value in info.items() if name != "width"})


if __name__ == "__main__":
    main()
