"""What the page says first, in a sentence or two: who is ahead on what, by how much, how sure; what is missing, why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipbench.reports import plain, statistics
from lipbench.reports.details import Details, title_of
from lipbench.reports.leading import picture_first
from lipbench.reports.statistics import ClipSeries
from lipbench.reports.table import shown

#: Below so many clips no test over clips can be sure.
SURE_CLIPS = 6
#: Controls whose mouth says nothing of the dub.
IDLE = ("still-mouth", "dubbed")
#: Directions in which somebody can be ahead.
_RANKED = ("higher", "lower", "zero")


@dataclass(frozen=True)
class Lead:
    """Who is ahead in one metric.

    Attributes:
        metric: id.
        best: label of the method with the best mean over all clips.
        value: its mean.
        second: the next best, and its mean; None where no other has every clip.
        even: whether the reader sees the same number for both.
        equals: labels that the clips do not tell from the best.
        sure: whether a test over clips tells the best from all others.
        floor: title of the control that did nothing and is as good as the best method, "" without one: then the metric
            tells nothing in favor of anybody.
        controls: (title, mean) of the best and of the worst control, as far as there are numbers.
    """

    metric: str
    best: str
    value: float
    second: tuple[str, float] | None
    even: bool
    equals: tuple[str, ...]
    sure: bool
    floor: str
    controls: tuple[tuple[str, float], ...]


def leads(details: Details, ids: Sequence[str]) -> list[Lead]:
    """Who is ahead: on lip sync and on the picture, as far as there are numbers.

    Args:
        ids: metrics to choose from, the first ones first.
    """
    found: list[Lead] = []
    sync = [name for name in ids if plain.measures_sync(details.run.metrics[name])]
    for wanted in (sync, picture_first(details.run.metrics, [name for name in ids if name not in sync])):
        found += next(([lead] for name in wanted if (lead := lead_of(details, name)) is not None), [])
    return found


def lead_of(details: Details, metric: str) -> Lead | None:
    """Who is ahead in a metric; None where no method has a number on every clip, or there is no better and worse."""
    run, spec = details.run, details.run.metrics[metric]
    if spec["better"] not in _RANKED:
        return None
    series = statistics.clip_series(run)
    kinds = {label: about["kind"] for label, about in run.methods.items()}
    own = {label: series[label, metric] for label in run.methods if (label, metric) in series}
    clips = {clip for one in own.values() for clip in one.values}
    full = {label: mean_of(one) for label, one in own.items() if len(one.known) == len(clips) and clips}
    sign = -1.0 if spec["better"] == "higher" else 1.0
    order = sorted((m for m in full if kinds[m] == "method"), key=lambda m: sign * full[m])
    if not order:
        return None
    same = statistics.not_worse_than_best({m: own[m].values for m in order}, spec["better"])
    controls = sorted(
        (m for m in full if kinds[m] == "control" and math.isfinite(full[m])), key=lambda m: sign * full[m]
    )
    ends = dict.fromkeys([*controls[:1], *controls[-1:]])
    return Lead(
        metric,
        order[0],
        full[order[0]],
        (order[1], full[order[1]]) if len(order) > 1 else None,
        len(order) > 1 and _number(spec, full[order[0]]) == _number(spec, full[order[1]]),
        tuple(m for m in order if m in same and m != order[0]),
        len(order) > 1 and same == {order[0]},
        _floor(details, metric, full, order[0]),
        tuple((title_of(run.methods, m), full[m]) for m in ends),
    )


def _floor(details: Details, metric: str, full: Mapping[str, float], best: str) -> str:
    """The control that did nothing and is at least as good as the best method.

    Against the undubbed source doing nothing is best by definition, and says nothing.
    """
    run, spec = details.run, details.run.metrics[metric]
    if not plain.measures_sync(spec) and not plain.against_truth(spec):
        return ""
    sign = -1.0 if spec["better"] == "higher" else 1.0
    idle = [m for m in full if run.methods[m]["id"] in IDLE and sign * full[m] <= sign * full[best]]
    return title_of(run.methods, min(idle, key=lambda m: sign * full[m])) if idle else ""


def mean_of(series: ClipSeries) -> float:
    """Mean over clips; infinite where one is."""
    return sum(series.known.values()) / max(len(series.known), 1)


def headline(details: Details, found: Sequence[Lead]) -> str:
    """The page's first sentence."""
    run = details.run
    clips = len(set(run.frame["clip"]))
    ahead = [lead for lead in found if lead.second is not None]
    if not any(about["kind"] == "method" for about in run.methods.values()):
        return "Only reference rows were run: they show what the numbers look like, and are never ranked"
    if not found:
        return "Nothing can be said yet: no method has a number on every clip"
    if not ahead:
        names = list(dict.fromkeys(title_of(run.methods, lead.best) for lead in found))
        return f"Only {plain.listed(names)} has numbers on every clip, so nobody is ahead"
    parts: dict[str, list[str]] = {}
    for lead in ahead:
        spec, name = run.metrics[lead.metric], title_of(run.methods, lead.best)
        if lead.floor:
            parts.setdefault(f"no method beats {lead.floor}", []).append(f"on {_subject(spec)}")
        elif lead.even and lead.second is not None:
            pair = f"{name} and {title_of(run.methods, lead.second[0])}"
            parts.setdefault(pair, []).append(f"are even on {_subject(spec)}")
        else:
            parts.setdefault(name, []).append(_deed(spec))
    text = ", ".join(f"{name} {' and '.join(deeds)}" for name, deeds in parts.items())
    if not text.startswith(title_of(run.methods, ahead[0].best)):
        text = text[0].upper() + text[1:]  # a label stays as somebody wrote it
    if all(lead.sure for lead in ahead):
        return f"{text}: over {plain.many(clips, 'clip')} more than chance"
    if clips < SURE_CLIPS:
        return f"{text}; from {plain.many(clips, 'clip')} that is a hint, no proof"
    return f"{text}; part of that may be chance over {plain.many(clips, 'clip')}"


def _subject(spec: Mapping[str, Any]) -> str:
    return "lip sync" if plain.measures_sync(spec) else "the picture"


def _deed(spec: Mapping[str, Any]) -> str:
    if plain.measures_sync(spec):
        return "follows the audio best"
    if plain.against_truth(spec):
        return "comes closest to the correct video"
    return "keeps the picture closest to the original"


def lines(details: Details, ids: Sequence[str], found: Sequence[Lead]) -> list[str]:
    """The sentences below the first one: numbers behind it, what the scale is, what is missing and why."""
    told = [_numbers(details, lead) for lead in found]
    return [*told, *_unmade(details), *_unmeasured(details)]


def _number(spec: Mapping[str, Any], value: float) -> str:
    number = shown(value, int(spec["decimals"])).replace("inf", "∞").replace("-", "−")
    return f"{number} {plain.unit(spec)}".strip()


def _numbers(details: Details, lead: Lead) -> str:
    run, spec = details.run, details.run.metrics[lead.metric]

    what = "Lip sync" if plain.measures_sync(spec) else "Picture"
    way = {"higher": "higher is better", "lower": "lower is better", "zero": "closer to zero is better"}
    text = f"{what}, measured by {spec['title']} ({way[spec['better']]}): "
    text += f"{title_of(run.methods, lead.best)} {_number(spec, lead.value)}"
    if lead.second is not None:
        name = title_of(run.methods, lead.second[0])
        text += f", next {name} {_number(spec, lead.second[1])}"
        if lead.sure:
            text += "; a test over clips tells it from all others"
        elif lead.equals and len(set(run.frame["clip"])) >= SURE_CLIPS:
            text += f"; not told apart from {plain.listed([title_of(run.methods, m) for m in lead.equals])}"
    if lead.controls:
        text += ". For scale: " + ", ".join(f"{title} {_number(spec, value)}" for title, value in lead.controls)
    return text


def _unmade(details: Details) -> list[str]:
    """Videos that are not there."""
    count = Counter(plain.STATUSES.get(c["status"], str(c["status"])) for c in details.cells if c["status"] != "ok")
    if not count:
        return []
    parts = ", ".join(f"{n} {words}" for words, n in count.most_common())
    return [f"{sum(count.values())} of {plain.many(len(details.cells), 'video')} are missing: {parts}"]


def _unmeasured(details: Details) -> list[str]:
    """Metrics without any number, by reason."""
    data, metrics = details.run.frame, details.run.metrics
    made = data[data["status"] == "ok"]
    known = set(made.loc[made["value"].notna(), "metric"])
    why: dict[str, list[str]] = {}
    told: list[str] = []
    truths = [name for name, spec in metrics.items() if plain.against_truth(spec)]
    if truths and not known.intersection(truths):
        told.append("No correct video of these dubs is known, so nothing here says how right a mouth looks")
    for name, spec in metrics.items():
        own = made[made["metric"] == name]
        if name in known or name in truths or own.empty or not spec.get("headline", True):
            continue
        texts = Counter(plain.reason(str(text)) for text in own["reason"].dropna())
        why.setdefault(texts.most_common(1)[0][0] if texts else "no reason was recorded", []).append(str(spec["title"]))
    return [*told, *(f"Not measured: {plain.listed(titles, 6)}: {text}" for text, titles in why.items())]


def finished_words(details: Details) -> tuple[str, str]:
    """(look, sentence) on how much of the run is there; the look is good or warn."""
    run, cells = details.run, details.cells
    kinds = {c["method"]: c["kind"] for c in cells}
    methods = sum(kind == "method" for kind in kinds.values())
    parts = [
        plain.many(len({c["clip"] for c in cells}), "clip"),
        plain.many(len({c["language"] for c in cells}), "language"),
        plain.many(methods, "method") if methods else "",
        plain.many(len(kinds) - methods, "reference") if len(kinds) > methods else "",
        plain.many(len(cells), "video"),
        f"lip sync measured with the sync model {run.sync_model}" if _has_sync(details) else "",
    ]
    size = ", ".join(filter(None, parts))
    if not run.finished.all:
        return (
            "warn",
            f"Not finished: {run.finished.cells:,} of {run.finished.total:,} videos have all their numbers. {size}",
        )
    return ("good" if all(c["status"] == "ok" for c in cells) else "warn"), size


def _has_sync(details: Details) -> bool:
    data, metrics = details.run.frame, details.run.metrics
    return any(plain.measures_sync(metrics[name]) for name in set(data.loc[data["value"].notna(), "metric"]))
