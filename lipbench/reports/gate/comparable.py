"""What has to be the same before two numbers may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.core.keys import first_difference
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot

#: What texts call the two sides.
SIDES = ("the baseline", "the run")
#: Reasons of cells that nothing has measured: the run is not complete, the method may be fine.
NOT_MEASURED = ("weights_missing", "weights_mismatch", "not run yet", "not measured", "stopped")


def difference(a: Mapping[str, Any], b: Mapping[str, Any], what: str, sides: tuple[str, str] = SIDES) -> str:
    """Text like `the sync model differs: name is x in the baseline, y in the run`; "" when there is no difference."""
    found = first_difference(dict(a), dict(b))
    if found is None:
        return ""
    field, old, new = found
    short = [f"{v[:12]}..." if isinstance(v, str) and len(v) > 40 else str(v) for v in (old, new)]
    return f"{what} differs: {field} is {short[0]} in {sides[0]}, {short[1]} in {sides[1]}"


def absent(line: Headline, run: Snapshot) -> str:
    """What a run that does not have a headline lacks."""
    asked = {method for method, _ in run.headlines}
    return f"the run has no {line.metric}" if line.method in asked else f"the run has no method {line.method}"


def not_measured(line: Headline, now: Headline) -> str:
    """Why nothing has measured a headline (not finished, weights missing), which is no fault of the method; or ""."""
    reasons = [now.clips[c].reason for c in line.known if c in now.clips and now.clips[c].value is None]
    if line.known and not now.known and reasons and all(r.startswith(NOT_MEASURED) for r in reasons):
        return f"not measured: {reasons[0]}"
    return ""


def whole_clips(line: Headline, now: Headline) -> dict[str, float]:
    """The run's clips with a value over every dub that the baseline has; over fewer it is another quantity."""
    return {
        clip: value
        for clip, value in now.known.items()
        if clip not in line.clips or not line.clips[clip].dubs.keys() - now.clips[clip].dubs.keys()
    }


def headline_difference(
    line: Headline,
    now: Headline,
    base: Snapshot,
    run: Snapshot,
    *,
    sides: tuple[str, str] = SIDES,
    machine: bool = True,
) -> str:
    """Why a headline of the baseline and one of the run are not the same quantity; "" when they are.

    Args:
        sides: what texts call the baseline and the run.
        machine: whether another GPU counts.
    """
    if policy.is_sync(line.metric) and (reason := difference(base.sync_model, run.sync_model, "the sync model", sides)):
        return reason
    for field in ("version", "region", "train_seconds", "better"):
        old, new = getattr(line, field), getattr(now, field)
        if old != new:
            return f"{field.replace('_', ' ')} of {line.metric} is {old} in {sides[0]}, {new} in {sides[1]}"
    if (machine or line.relative) and (reason := _hardware(line, base, run, sides)):
        return reason
    return _inputs(line, now, base, run, sides)


def _hardware(line: Headline, base: Snapshot, run: Snapshot, sides: tuple[str, str]) -> str:
    fields = ("gpus", "cpu", "cores") if line.relative else ("gpus",)
    old, new = ({f: snapshot.hardware.get(f) for f in fields} for snapshot in (base, run))
    return difference(old, new, "the machine", sides)


def _inputs(line: Headline, now: Headline, base: Snapshot, run: Snapshot, sides: tuple[str, str]) -> str:
    """Whether the shared clips are made of the same footage, audio and correct video."""
    whole = base.manifest_digest == run.manifest_digest != ""
    for clip in sorted(line.clips.keys() & now.clips.keys()):
        old, new = line.clips[clip].dubs, now.clips[clip].dubs
        if added := sorted(new.keys() - old.keys()):
            return f"clip {clip} has dubs that {sides[0]} does not know: {', '.join(added[:3])}"
        for dub in sorted(old.keys() & new.keys()):
            if old[dub] is None or new[dub] is None:
                if not whole:
                    return f"whether {dub} is the same as before is unknown: the data set differs"
            elif old[dub] != new[dub]:
                return f"the inputs of {dub} differ (footage, audio, correct video, frame rate or own offset)"
    return ""
