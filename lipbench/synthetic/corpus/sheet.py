"""Contact sheets: every clip of a corpus at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def contact_sheet(
    cells: Sequence[tuple[str, NDArray[np.uint8]]], path: str | Path, *, columns: int = 6, cell_px: int = 192
) -> Path:
    """Write labeled images (h, w, 3) uint8 RGB as one PNG; returns the path."""
    height = round(cell_px * cells[0][1].shape[0] / cells[0][1].shape[1])
    rows = -(-len(cells) // columns)
    columns = min(columns, len(cells))
    sheet = np.full((rows * (height + 22), columns * cell_px, 3), 255, np.uint8)
    for k, (label, image) in enumerate(cells):
        y, x = k // columns * (height + 22), k % columns * cell_px
        sheet[y + 22 : y + 22 + height, x : x + cell_px] = cv2.resize(
            image, (cell_px, height), interpolation=cv2.INTER_AREA
        )
        cv2.putText(sheet, label, (x + 4, y + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    path = Path(path)
    if not cv2.imwrite(str(path), sheet[:, :, ::-1]):
        raise OSError(f"cannot write {path}")
    return path
