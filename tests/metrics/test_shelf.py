from __future__ import annotations

import numpy as np

from lipbench.metrics.shelf import Shelf


def picture(n: int) -> np.ndarray:
    return np.full((2, 3, 3), n, np.uint8)


def shelf(limit: int) -> Shelf[str]:
    return Shelf(limit, len)


def test_pixels_and_shape_are_the_key():
    kept = shelf(100)
    kept.put(picture(1), "one")
    assert kept.get(picture(1).copy()) == "one"
    assert kept.get(picture(1)[:, ::-1]) == "one"  # the same pixels, another memory order
    assert kept.get(picture(2)) is None
    assert kept.get(picture(1).reshape(3, 2, 3)) is None


def test_putting_twice_costs_once():
    kept = shelf(100)
    kept.put(picture(1), "one")
    kept.put(picture(1), "other")
    assert (kept.get(picture(1)), kept.used) == ("one", 3)


def test_the_next_users_pictures_push_out_what_is_longest_unused():
    kept = shelf(6)
    kept.turn("a")
    kept.put(picture(1), "one")
    kept.put(picture(2), "two")
    kept.turn("b")
    assert kept.get(picture(1)) == "one"
    kept.put(picture(3), "six")
    assert [kept.get(picture(n)) for n in (1, 2, 3)] == ["one", None, "six"]
    assert kept.used == 6


def test_a_user_does_not_push_out_its_own():
    """Going round a clip that does not fit would otherwise find nothing at all."""
    kept = shelf(6)
    for _ in range(2):
        kept.turn("a")
        for n in range(4):
            if kept.get(picture(n)) is None:
                kept.put(picture(n), f"n={n}")
    assert [kept.get(picture(n)) for n in range(4)] == ["n=0", "n=1", None, None]


def test_what_can_never_fit_pushes_nothing_out():
    kept = shelf(6)
    kept.turn("a")
    kept.put(picture(1), "one")
    kept.turn("b")
    kept.put(picture(2), "too long")
    assert kept.get(picture(1)) == "one"
