"""The 36 semantic expressions: what each does to the template at full strength.

"L" and "R" are the image's left and right. Weights are meant for [0, 1]; a little beyond is harmless.

    jawOpen         jaw turns 15 degrees about the joints, about 22 mm between the incisors
    jawFwd jawL jawR  jaw slides forward or to a side, 6 mm
    pucker funnel   lips drawn together (u) / turned out as a funnel (sh, o)
    stretchL/R smileL/R frownL/R  corner of the mouth outwards / outwards and up / down
    press rollIn tuck  lips pressed together / rolled over the teeth / lower lip under the upper incisors (f, v)
    upRaiseL/R loDepressL/R  upper lip up / lower lip down, per half
    part            lips just apart, teeth together
    puff noseWrinkle  cheeks blown out / nose wrinkled
    tongueUp tongueOut  tip behind the upper incisors (t, n, l) / between the teeth (th)
    blinkL/R squintL/R wideL/R  lids
    browInner browOuterL/R browDownL/R  brows
    lipsTogether    closes lips that the jaw has opened: use together with jawOpen, weight = jaw x closure
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.synthetic.head import eyes, mouth
from lipbench.synthetic.head.fields import Fields, fields
from lipbench.synthetic.head.relief import EYE_RADIUS, EYE_X, EYE_Y, MOUTH_HALF, MOUTH_Y
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import SIDES, Template, template

JAW_ANGLE = np.deg2rad(15.0)
JAW_JOINT = (-0.02, -0.10)  # y, z of the axis through the jaw's joints


def _stack(x: Array | float, y: Array | float, z: Array | float, n: int) -> Array:
    return np.stack([np.broadcast_to(v, (n,)) for v in (x, y, z)], -1).astype(np.float64)


def _jaw(f: Fields) -> dict[str, Array]:
    n = len(f.x)
    dy, dz = f.y - JAW_JOINT[0], f.z - JAW_JOINT[1]
    c, s = np.cos(JAW_ANGLE) - 1, np.sin(JAW_ANGLE)
    down, back = c * dy - s * dz, s * dy + c * dz
    return {
        "jawOpen": _stack(-0.11 * f.x * f.near * f.soft, down * f.jaw, back * f.jaw, n),
        "jawFwd": _stack(0, 0, 0.06 * f.jaw, n),
        "jawL": _stack(-0.06 * f.jaw, 0, 0, n),
        "jawR": _stack(0.06 * f.jaw, 0, 0, n),
    }


def _lips(t: Template, f: Fields) -> dict[str, Array]:
    n = len(f.x)
    upper, lower = 1 - f.lower, f.lower
    red = np.clip(1.2 - np.maximum(f.ring, 0), 0, 1) * (f.ring < 8)  # 1 on the lips, fading over the border
    edge = np.exp(-((np.maximum(f.ring, 0) / 0.75) ** 2)) * (f.ring < 8)
    shapes = {
        "pucker": _stack(
            -0.44 * f.x * f.near,
            (lower * 0.020 - upper * 0.014) * f.near * f.middle,
            0.105 * f.near * (0.55 + 0.45 * f.middle),
            n,
        ),
        "funnel": _stack(
            -0.28 * f.x * f.near,
            (upper * 0.036 - lower * 0.048) * f.near * (0.2 + 0.8 * f.middle),
            0.085 * f.near * (0.5 + 0.5 * f.middle),
            n,
        ),
        "press": _stack(
            0.03 * f.x * f.near, (lower * 0.018 - upper * 0.014) * f.near * f.middle, -0.030 * edge * f.middle, n
        ),
        "rollIn": _stack(
            0, (lower * 0.042 - upper * 0.036) * red * f.middle * step(0.05, 0.4, f.ring), -0.055 * red * f.middle, n
        ),
        "tuck": _stack(
            0,
            lower * f.near * f.middle * 0.052 + 0.014 * upper * f.near * f.middle,
            -0.055 * lower * np.sqrt(f.middle) * red,
            n,
        ),
        "part": _stack(0, (upper * 0.016 - lower * 0.026) * f.near * f.middle, 0, n),
    }
    shapes["tuck"][t.mask("teeth_l", "gum_l", "tongue"), 2] -= 0.05
    jaw = _jaw(f)["jawOpen"]
    center = t.groups["lips"][0, 3 * mouth.COLUMNS // 4]
    opened, back = -jaw[center, 1], jaw[center, 2]
    share = (lower * 0.80 - upper * 0.24) * f.middle**0.5 * f.near
    shapes["lipsTogether"] = _stack(0, share * opened, -share * back, n)
    return shapes


def _corners(f: Fields, side: int) -> dict[str, Array]:
    """Expressions of one corner of the mouth; side -1 is the image's left."""
    n = len(f.x)
    name = "L" if side < 0 else "R"
    half = f.right if side > 0 else 1 - f.right
    ax, upper, lower = np.abs(f.x), 1 - f.lower, f.lower
    # One smooth hill over corner and cheek; along the lips it falls off like a parabola towards the middle.
    u = np.clip(ax / MOUTH_HALF, 0, 1)
    beyond = np.maximum(ax - MOUTH_HALF, 0)
    hill = u**2 * np.exp(-((beyond / 0.24) ** 2)) * np.exp(-(((f.y - MOUTH_Y) / 0.20) ** 2))
    corner = hill * half * f.soft * step(0.10, 0.45, f.z)
    cheek = np.exp(-(((ax - 0.40) / 0.17) ** 2) - ((f.y + 0.13) / 0.15) ** 2) * half * f.soft
    lid = np.exp(-(((ax - EYE_X) / 0.16) ** 2) - ((f.y - (EYE_Y - 0.075)) / 0.045) ** 2) * half * f.soft
    thin = (MOUTH_Y - f.y) * f.near * f.middle * half
    up_half, low_half = upper * f.near * half, lower * f.near * half
    return {
        "stretch" + name: _stack(side * 0.080 * corner, -0.008 * corner + 0.12 * thin, -0.042 * corner, n),
        "smile" + name: _stack(
            side * 0.070 * corner,
            0.074 * corner + 0.026 * cheek + 0.016 * lid + 0.14 * thin + 0.022 * (up_half + low_half) * f.middle,
            -0.046 * corner + 0.034 * cheek - 0.014 * f.near * f.middle * half,
            n,
        ),
        "frown" + name: _stack(side * 0.015 * corner, -0.070 * corner, -0.018 * corner, n),
        "upRaise" + name: _stack(0, 0.056 * up_half * (0.25 + 0.75 * f.middle), 0.010 * up_half, n),
        "loDepress" + name: _stack(0, -0.066 * low_half * (0.2 + 0.8 * f.middle), 0.008 * low_half * f.middle, n),
    }


def _lids(t: Template, f: Fields, name: str, side: int) -> dict[str, Array]:
    """Blink, squint and wide of one eye. The upper lid slides over the ball down to the lower one."""
    n = len(f.x)
    blink, squint, wide = np.zeros((n, 3)), np.zeros((n, 3)), np.zeros((n, 3))
    center = eyes.socket(side)
    theta, _, _ = eyes.margin(side)
    loops = t.groups[f"lid_{name}"]
    upper = np.sin(theta) > 1e-6
    opposite = (-np.arange(eyes.COLUMNS)) % eyes.COLUMNS  # the column below or above
    margin = t.points[loops[eyes.INNER_EDGE]]
    # The lids aim a little past each other; contact stops them where they meet.
    closed_y = margin[opposite, 1] - 0.002
    drop = np.where(upper, closed_y - margin[:, 1], 0.0)
    for loop, (fraction, height) in enumerate(
        ((1.0, 0.0), (1.0, 0.003), (0.97, 0.014), (0.80, 0.018), (0.52, 0.018), (0.26, 0.014), (0.08, 0.0), (0.0, 0.0))
    ):
        index = loops[loop]
        point = t.points[index]
        target = point.copy()
        target[:, 1] += drop * fraction
        target[:, 1] += np.where(upper, 0, 0.008 * fraction * np.abs(np.sin(theta)) ** 0.5)
        flat = (target[:, :2] - center[:2]) ** 2
        on_ball = center[2] + np.sqrt(np.maximum((EYE_RADIUS + height) ** 2 - flat.sum(1), 0.035**2))
        target[:, 2] = np.where(upper & (height > 0), np.maximum(on_ball, point[:, 2] - 0.02), point[:, 2])
        blink[index] = target - point
        lift = np.abs(np.sin(theta)) ** 0.6
        squint[index, 1] = np.where(upper, drop * 0.22 * fraction, 0.022 * lift * max(fraction, 0.3 * (loop < 7)))
        wide[index, 1] = np.where(upper, 0.020 * lift * fraction, -0.004 * lift * fraction)
    fringe = t.groups[f"lash_{name}"]
    root = loops[eyes.OUTER_EDGE, 1 : eyes.COLUMNS // 2]
    for shape in (blink, squint, wide):
        shape[fringe] = shape[root]
    # Lashes turn down as the lid closes.
    blink[fringe[1:], 1] -= np.array([0.004, 0.014])[:, None]
    below = np.exp(-(((f.x - side * EYE_X) / 0.16) ** 2) - ((f.y - (EYE_Y - 0.12)) / 0.06) ** 2) * t.mask("skin")
    squint[:, 1] += 0.010 * below
    label = "L" if side < 0 else "R"
    return {"blink" + label: blink, "squint" + label: squint, "wide" + label: wide}


def _brows(f: Fields, side: int) -> dict[str, Array]:
    n = len(f.x)
    name = "L" if side < 0 else "R"
    outer = np.exp(-(((f.x - side * 0.40) / 0.17) ** 2) - ((f.y - 0.33) / 0.15) ** 2) * f.soft
    down = np.exp(-(((f.x - side * 0.24) / 0.20) ** 2) - ((f.y - 0.31) / 0.12) ** 2) * f.soft
    return {
        "browOuter" + name: _stack(0, 0.058 * outer, 0, n),
        "browDown" + name: _stack(-side * 0.018 * down, -0.046 * down, 0.010 * down, n),
    }


def _rest(t: Template, f: Fields) -> dict[str, Array]:
    n = len(f.x)
    ax = np.abs(f.x)
    puff = np.exp(-(((ax - 0.40) / 0.17) ** 2) - ((f.y + 0.44) / 0.20) ** 2) * f.soft
    wrinkle = np.exp(-(((ax - 0.12) / 0.10) ** 2) - ((f.y + 0.10) / 0.14) ** 2) * f.soft
    inner = np.exp(-((f.x / 0.22) ** 2) - ((f.y - 0.34) / 0.15) ** 2) * f.soft
    shapes = {
        "puff": _stack(np.sign(f.x) * 0.06 * puff, 0, 0.075 * puff, n),
        "noseWrinkle": _stack(0, 0.030 * wrinkle, 0.010 * wrinkle, n),
        "browInner": _stack(0, 0.062 * inner, 0, n),
    }
    tongue = t.groups["tongue"].ravel()
    z = t.points[tongue, 2]
    tip = step(float(z.min()) + 0.15, float(z.max()), z)
    for name, up, out in (("tongueUp", 0.085, 0.05), ("tongueOut", 0.095, 0.20)):
        shape = np.zeros((n, 3))
        shape[tongue, 1], shape[tongue, 2] = up * tip, out * tip
        shapes[name] = shape
    return shapes


@cache
def semantic_shapes() -> Array:
    """(36, N, 3) displacements in dm in the order of `SEMANTIC`."""
    t, f = template(), fields()
    shapes = {**_jaw(f), **_lips(t, f), **_rest(t, f)}
    for name, side in SIDES:
        shapes |= {**_corners(f, side), **_lids(t, f, name, side), **_brows(f, side)}
    return np.stack([shapes[name] for name in SEMANTIC])
