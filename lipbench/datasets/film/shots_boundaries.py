"""Where one shot of a film ends and another begins: cuts, dissolves, fades. A flash is none.

`faces.shots` holds the rule that the published SyncNet pipeline cuts by; it is kept as that is and knows cuts alone. A
boundary that is missed puts two people into one clip; one too many costs a few frames: in doubt there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.shots_pictures import Float32, PictureBlock, distances, looks

Kind = Literal["cut", "dissolve", "fade"]

#: A cut: this much of the picture is another one, and this many times as much as around it.
CUT, AROUND, STILL = 0.22, 3.0, 0.02
#: Between a shaken and a panned shot nothing is calm: there nearly all of the picture changes, and more than anywhere.
ALL, ABOVE = 0.75, 1.35
#: Where only one side of a cut is calm, it is this much larger than any change around it.
OUTDOES = 1.08
#: A jump within one view: little changes, but nothing else does.
JUMP, JUMPS_OUT = 0.06, 3.0
#: Frames around a cut that are compared with it; it is the largest change among its next ones.
NEAR, NEXT = 8, 2
#: After a flash the picture is what it was: frames that are looked at before and after, and the share that must stay.
LATER, STAYS = (3, 4, 5, 6), 0.5
#: Gradual: spans of frames that are tried, how much their ends differ, and what is left of the middle when a mixture
#: of the ends is taken away.
SPANS, ENDS, LEFT = (10, 16, 28, 40), 0.33, 0.06
#: Weights of the later end in a mixture, where it begins and where it is done; how far it goes in the middle half.
FROM, TO, WALK = 0.08, 0.92, 0.25
#: Every how many frames a mixture is looked for; hits that are nearer than this are one transition.
EVERY, TOGETHER = 3, 12
#: Mean luma of a black picture, and of one that is not.
BLACK, LIT = 20.0, 28.0
#: Deviation of the luma of a black picture, at most.
EMPTY = 6.0
#: Steps of mean luma by which each frame of a fade is darker than the one before, and frames that make one.
FADES, SHORTEST_FADE = 0.8, 4


@dataclass(frozen=True)
class Boundary:
    """The end of a shot and the beginning of the next.

    Attributes:
        kind: cut, dissolve or fade.
        first: the first frame that is no longer the old shot alone.
        end: the first frame that is the new shot alone; a cut's is its `first`.
    """

    kind: Kind
    first: int
    end: int


def boundaries(blocks: Iterable[PictureBlock]) -> list[Boundary]:
    """All boundaries of a film in order; see `shots_pictures.picture_blocks`."""
    found: list[Boundary] = []
    mixed: list[Boundary] = []
    for block in blocks:
        look = looks(block.raw)
        cuts = _cuts(look)
        light = _Light.of(block)
        for one in (light.around(cut) for cut in cuts):
            if block.core[0] <= block.first + (one.first + one.end) // 2 < block.core[1]:
                found.append(Boundary(one.kind, block.first + one.first, block.first + one.end))
        for one in _mixtures(block, look, light, cuts):
            if block.core[0] <= (one.first + one.end) // 2 < block.core[1]:
                mixed.append(one)
    return _apart(sorted([*found, *_joined(mixed)], key=lambda b: (b.first, b.end)))


@dataclass(frozen=True)
class _Light:
    """Mean luma of a block's frames, and which of them are black: dark all over, unlike a night."""

    luma: NDArray[np.floating]
    black: NDArray[np.bool_]

    @classmethod
    def of(cls, block: PictureBlock) -> _Light:
        luma = block.raw[:, 0].mean((1, 2))
        return cls(luma, (luma < BLACK) & (block.raw[:, 0].std((1, 2)) < EMPTY))

    def around(self, t: int) -> Boundary:
        """The cut before frame t, or the fade or black pictures that it lies in."""
        if not (self.black[t - 1] or self.black[t]):
            return Boundary("cut", t, t)
        first, end = t, t
        while first > 1 and (self.black[first - 1] or self.luma[first - 2] - self.luma[first - 1] > FADES):
            first -= 1
        while end + 1 < len(self.luma) and (self.black[end] or self.luma[end + 1] - self.luma[end] > FADES):
            end += 1
        return Boundary("fade", first, end) if end - first >= SHORTEST_FADE else Boundary("cut", t, t)


def _apart(found: list[Boundary]) -> list[Boundary]:
    """Boundaries that overlap as one: a fade is often seen from both of its sides."""
    kept: list[Boundary] = []
    for one in found:
        if kept and one.first < kept[-1].end:
            last = kept.pop()
            kind: Kind = "fade" if "fade" in (last.kind, one.kind) else last.kind
            one = Boundary(kind, last.first, max(last.end, one.end))
        kept.append(one)
    return kept


def _cuts(look: Float32) -> list[int]:
    """Frames that begin a shot without a transition; (N, 3, H, W) from `looks`."""
    n = len(look)
    if n < 2:
        return []
    change = np.concatenate([[0], distances(look[:-1], look[1:])])
    found = []
    for i in map(int, np.flatnonzero(change > JUMP)):
        low, high = max(i - NEAR, 1), min(i + NEAR + 1, n)
        around = np.delete(change[low:high], i - low)
        here = float(change[i])
        largest = here == change[max(i - NEXT, 1) : i + NEXT + 1].max()
        if largest and _stands_out(here, around, i - low) and _stays(look, i, here):
            found.append(i)
    return found


def _stands_out(change: float, around: NDArray[np.floating], before: int) -> bool:
    """Whether a change is a cut's, beside those of the frames around it, the first `before` of which come earlier."""
    if not len(around):
        return change > CUT
    most = float(around.max())
    if change <= CUT:
        return len(around) > NEAR and change > JUMPS_OUT * (most + STILL / 2)
    sides = [float(np.median(side)) for side in (around[:before], around[before:]) if len(side)]
    whole = change > AROUND * (float(np.median(around)) + STILL)
    one_side = change > AROUND * (min(sides) + STILL) and change > OUTDOES * most
    return whole or one_side or (change > ALL and change > ABOVE * most)


def _stays(look: Float32, i: int, change: float) -> bool:
    """Whether what came at frame i is still there a little later, and was not there a little before."""
    n = len(look)
    before, after = max(i - 2, 0), [min(i + m, n - 1) for m in LATER]
    earlier = [max(i - m, 0) for m in LATER]
    back = distances(look[[before]], look[after]).min()
    fore = distances(look[[i]], look[earlier]).min()
    return bool(min(back, fore) > STAYS * change)


def _mixtures(block: PictureBlock, look: Float32, light: _Light, cuts: list[int]) -> list[Boundary]:
    """Spans whose ends are two pictures and whose middle is a mixture of them, or black."""
    found: list[Boundary] = []
    n = len(look)
    flat = block.raw.reshape(n, -1)
    at_cut = np.asarray(cuts, int)
    for span in SPANS:
        half, quarter = span // 2, span // 4
        middle = np.arange(half + 1, n - half - 1, EVERY)
        if not len(middle):
            continue
        near = np.zeros(len(middle), bool)
        for cut in at_cut:
            near |= (middle - half - 2 <= cut) & (cut <= middle + half + 2)
        middle = middle[~near]
        if not len(middle):
            continue
        a, b = middle - half, middle + half
        far = distances(look[a], look[b]) > ENDS
        middle, a, b = middle[far], a[far], b[far]
        for i, start, end in zip(middle, a, b, strict=True):
            if light.black[start:end].any() and min(light.luma[start], light.luma[end]) > LIT:
                darkest = int(start + light.luma[start:end].argmin())
                one = light.around(max(darkest, 1))
                found.append(Boundary("fade", block.first + one.first, block.first + one.end))
                continue
            if (mixture := _mixture(flat, int(i), int(start), int(end), quarter)) is not None:
                found.append(Boundary("dissolve", block.first + mixture[0], block.first + mixture[1]))
    return found


def _mixture(flat: Float32, i: int, start: int, end: int, quarter: int) -> tuple[int, int] | None:
    """[first, end) of the dissolve around frame i, None where the frames are no mixture of the ends."""
    a, way = flat[start], flat[end] - flat[start]
    length = float(way @ way)
    if not length:
        return None
    at = np.asarray([i - quarter, i, i + quarter])
    parts = flat[at] - a
    weights = parts @ way / length
    left = ((parts - weights[:, None] * way) ** 2).sum(1) / length
    walks = FROM < weights[0] < weights[1] < weights[2] < TO and weights[2] - weights[0] > WALK
    if not (walks and 0.25 < weights[1] < 0.75 and left.max() < LEFT):
        return None
    slope = (weights[2] - weights[0]) / (at[2] - at[0])
    # The ends of the span may themselves be mixtures: then the transition reaches further, to its neighbors' ends.
    return int(np.floor(i - weights[1] / slope)), int(np.ceil(i + (1 - weights[1]) / slope))


def _joined(found: list[Boundary]) -> list[Boundary]:
    """Hits of several spans and middles as one boundary each; a black picture makes it a fade."""
    groups: list[list[Boundary]] = []
    for one in sorted(found, key=lambda b: (b.first + b.end) / 2):
        if (
            groups
            and one.first < max(b.end for b in groups[-1]) + TOGETHER // 4
            and _middle(one) - _middle(groups[-1][-1]) <= TOGETHER
        ):
            groups[-1].append(one)
        else:
            groups.append([one])
    joined = []
    for group in groups:
        fades = [b for b in group if b.kind == "fade"]
        kept = fades or group
        joined.append(Boundary(kept[0].kind, min(b.first for b in kept), max(b.end for b in kept)))
    return joined


def _middle(boundary: Boundary) -> float:
    return (boundary.first + boundary.end) / 2
