"""Contact sheets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lipbench.synthetic.corpus.sheet import contact_sheet


def test_contact_sheet_is_a_grid(tmp_path: Path) -> None:
    cells = [(f"c{k}", np.full((30, 60, 3), 10 * k, np.uint8)) for k in range(5)]
    image = cv2.imread(str(contact_sheet(cells, tmp_path / "sheet.png", columns=3, cell_px=60)))
    assert image is not None
    assert image.shape == (2 * (30 + 22), 180, 3)
    assert (image[52 + 22 + 5, 70] == 40).all()
