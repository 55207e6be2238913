"""A field that turns transparent never comes back: find out early, begin again, or say so.

With ReLU density a sample whose raw density is negative gets no gradient. `nn.Linear`'s own initialization shrinks
signals by sqrt(3) a layer, so after 8 layers the raw density is the same number everywhere but for 0.01: the density's
bias, which is drawn from +-1/sqrt(width). When that one draw is negative the whole field is dead before the first step.
"""

from __future__ import annotations

from lipbench.core.errors import LipbenchError

#: Mean opacity over the head's pixels under which a field counts as collapsed.
MIN_OPACITY = 0.35
#: The same within the first 5 % of a long training, when a healthy field may still be thin.
MIN_OPACITY_EARLY = 0.01
#: When to look, as steps and as shares of them.
EARLY_CHECKS = (1000, 5000)
CHECK_SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
RESTARTS = 3
#: Share of the training after which a restart would leave too little time.
LAST_RESTART = 0.4


class FieldCollapsed(LipbenchError):
    """The trained head is transparent."""

    reason = "field_collapsed"


def check_steps(steps: int, warmup: int) -> tuple[int, ...]:
    """Steps after which the opacity is measured; in long trainings also early, before days are spent."""
    return tuple(
        sorted(
            {max(1, min(steps, max(round(share * steps), 2 * warmup))) for share in CHECK_SHARES}
            | {step for step in EARLY_CHECKS if step < 0.05 * steps}
        )
    )


def min_opacity(step: int, steps: int) -> float:
    """Opacity below which the field counts as collapsed after `step` steps."""
    return MIN_OPACITY_EARLY if step in EARLY_CHECKS and step < CHECK_SHARES[0] * steps else MIN_OPACITY


def needs_restart(opacity: float, least: float, attempt: int, restart: bool) -> bool:
    """Whether a training is to begin again with other weights: its field is transparent.

    Args:
        opacity: over the head.
        least: below it the field counts as collapsed.
        attempt: that runs, from 0.
        restart: whether there is time for another one.

    Raises:
        FieldCollapsed: after the last restart, or when too little time is left for one.
    """
    if opacity >= least:
        return False
    if not restart or attempt >= RESTARTS:
        raise collapsed(opacity, attempt + 1)
    return True


def collapsed(opacity: float, attempts: int) -> FieldCollapsed:
    """The error after the last restart."""
    return FieldCollapsed(
        "the head's field turned transparent",
        f"its opacity over the head is {opacity:.2f} in attempt {attempts}; every attempt began with other weights",
        "check the masks and the poses; or train with init=he, activation=softplus",
    )
