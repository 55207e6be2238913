"""A contact sheet of a run: one row per method, one column per moment, for one clip under one dub.

python examples/contact_sheet.py runs/demo demo-en fr sheet.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from lipbench import media

WIDTH, COLUMNS, LABEL = 150, 8, 110


def main(run: Path, clip: str, language: str, out: Path) -> None:
    rows = []
    for line in (run / "cells.jsonl").read_text().splitlines():
        cell = json.loads(line)
        if (cell["clip"], cell["language"], cell["status"]) != (clip, language, "ok"):
            continue
        frames = media.load_frames(run / cell["video"])
        chosen = np.linspace(0.05, 0.95, COLUMNS) * (len(frames) - 1)
        size = (WIDTH, round(WIDTH * frames.shape[1] / frames.shape[2]))
        images = [cv2.resize(frames[round(t)], size, interpolation=cv2.INTER_AREA) for t in chosen]
        label = np.full((size[1], LABEL, 3), 255, np.uint8)
        cv2.putText(label, cell["method"], (4, size[1] // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(np.hstack([label, *images]))
    if not rows:
        sys.exit(f"no finished video of {clip} in {language} in {run}")
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), np.vstack(rows)[:, :, ::-1])
    print(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
