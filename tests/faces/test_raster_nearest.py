"""The nearest known pixel: against a search of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.faces.raster.nearest import nearest_pixels


@pytest.mark.parametrize("reach", [3, 5])
def test_each_pixel_is_told_a_nearest_known_one(reach: int) -> None:
    known = np.zeros((20, 31), np.bool_)
    known[4:9, 3:12] = known[15, 25] = True
    away, number, place = nearest_pixels(known, reach)
    found = place[number]
    y, x = np.divmod(np.arange(known.size).reshape(known.shape), known.shape[1])
    rows, columns = np.nonzero(known)
    true = np.hypot(y[..., None] - rows, x[..., None] - columns).min(-1)
    assert known.reshape(-1)[found].all()
    np.testing.assert_array_equal(found[known], np.flatnonzero(known))
    # Sums of steps are no straight lines: a few percent.
    np.testing.assert_allclose(np.hypot(y - found // 31, x - found % 31), true, rtol=0.05)
    np.testing.assert_allclose(away, true, rtol=0.06)
