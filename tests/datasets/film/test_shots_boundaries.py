"""Cuts, dissolves and fades of films that are made here; flashes and light switches are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lipbench.datasets.film.shots_boundaries import Boundary, boundaries
from lipbench.datasets.film.shots_pictures import BLOCK, HEIGHT, MARGIN, WIDTH, PictureBlock

Pictures = NDArray[np.float32]
RNG = np.random.default_rng(4)


def scene(n: int, seed: int) -> Pictures:
    """(n, 3, 36, 64) of a picture that lives a little."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 220, (6, 8)).repeat(6, 0).repeat(8, 1)
    color = 128 + rng.uniform(-30, 30, (2, 6, 8)).repeat(6, 1).repeat(8, 2)
    one = np.concatenate([coarse[None], color])
    return (one + rng.normal(0, 1, (n, 3, HEIGHT, WIDTH))).astype(np.float32)


def black(n: int) -> Pictures:
    out = np.full((n, 3, HEIGHT, WIDTH), 128, np.float32)
    out[:, 0] = 16
    return out


def mixed(a: Pictures, b: Pictures, n: int) -> Pictures:
    """a, then n frames on the way from it to b, then b."""
    w = ((np.arange(n) + 1) / (n + 1))[:, None, None, None]
    return np.concatenate([a[:-n], a[-n:] * (1 - w) + b[:n] * w, b[n:]]).astype(np.float32)


def found(film: Pictures) -> list[Boundary]:
    """The film in blocks as the reader hands them out."""
    blocks = []
    for begin in range(0, len(film), BLOCK):
        first, end = max(0, begin - MARGIN), min(len(film), begin + BLOCK + MARGIN)
        blocks.append(PictureBlock(film[first:end], first, (begin, min(begin + BLOCK, len(film)))))
    return boundaries(blocks)


def test_cuts() -> None:
    film = np.concatenate([scene(40, 1), scene(12, 2), scene(40, 1), scene(30, 3)])
    assert found(film) == [Boundary("cut", at, at) for at in (40, 52, 92)]


@pytest.mark.parametrize("at", [BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + MARGIN, 2 * BLOCK])
def test_a_cut_at_the_edge_of_a_block_is_found_once(at: int) -> None:
    film = np.concatenate([scene(at, 1), scene(2 * BLOCK + 100 - at, 2)])
    assert found(film) == [Boundary("cut", at, at)]


@pytest.mark.parametrize("n", [8, 12, 20, 30])
def test_a_dissolve(n: int) -> None:
    (one,) = found(mixed(scene(60, 1), scene(60, 2), n))
    assert one.kind == "dissolve"
    assert abs(one.first - (60 - n)) <= 3
    assert abs(one.end - 60) <= 3


def test_a_fade_through_black() -> None:
    (one,) = found(np.concatenate([mixed(scene(50, 1), black(12), 10), mixed(black(12), scene(50, 2), 10)]))
    assert one.kind == "fade"
    assert abs(one.first - 40) <= 2
    assert abs(one.end - 64) <= 3


def test_black_between_two_cuts_belongs_to_no_shot() -> None:
    assert found(np.concatenate([scene(40, 1), black(20), scene(40, 2)])) == [Boundary("fade", 40, 60)]


def test_a_night_is_no_fade() -> None:
    """Dark scenes differ from black pictures by what is in them."""
    night = scene(40, 2)
    night[:, 0] = 16 + (night[:, 0] - 16) * 0.05
    (first, second) = found(np.concatenate([scene(40, 1), night, scene(40, 3)]))
    assert (first, second) == (Boundary("cut", 40, 40), Boundary("cut", 80, 80))


@pytest.mark.parametrize("lasts", [1, 2, 3])
def test_a_flash_is_no_boundary(lasts: int) -> None:
    film = scene(60, 1)
    film[30 : 30 + lasts, 0] = np.minimum(film[30 : 30 + lasts, 0] + 140, 235)
    assert found(film) == []


def test_a_light_that_goes_out_is_no_boundary() -> None:
    film = scene(60, 1)
    film[30:, 0] = 16 + (film[30:, 0] - 16) / 2
    film[30:, 1:] = 128 + (film[30:, 1:] - 128) / 2
    assert found(film) == []


def test_a_pan_is_no_boundary() -> None:
    wide = np.concatenate([scene(1, s)[0] for s in (1, 2, 3)], 2)  # (3, 36, 192)
    film = np.stack([wide[:, :, 2 * t : 2 * t + WIDTH] for t in range(60)])
    assert [b for b in found(film) if b.kind == "cut"] == []


def test_films_of_a_frame_or_none() -> None:
    assert found(scene(1, 1)) == []
    assert boundaries([]) == []
