"""Tables, licences and provenance in the form that the page's template draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lipbench.core.errors import LipbenchError
from lipbench.core.weights import entry
from lipbench.reports.details import Details, machine, title_of
from lipbench.reports.frame import Run
from lipbench.reports.plain import unit
from lipbench.reports.table import HEADS, ReportTable, TableEntry, caption, entry_at, key_text, shown
from lipbench.reports.writers import ARROWS

#: What a word of `--by` is called in a heading.
TITLES = {
    (): "All clips",
    ("lang",): "Per language",
    ("clip",): "Per clip",
    ("seconds",): "Per training length",
    ("sound",): "Own audio and dubs",
}
#: Clips that the page names with their own offset.
MOST_OFFSETS = 20
_GOOD = {"higher": "high", "lower": "low", "zero": "near 0"}
_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "zero": "closer to zero is better"}


def table_view(table: ReportTable) -> dict[str, Any]:
    """A table for the template: heads with their sort keys, rows of cells."""
    heads = [_head(text) for text in ("method", *(HEADS[word] for word in table.by))]
    heads.append(_head("clips", hint="clips behind each number"))
    for c in table.columns:
        hint = "; ".join(filter(None, (_DIRECTIONS.get(c.better, ""), c.convention)))
        heads.append(_head(c.title + ARROWS[c.better], c.unit.replace("^2", "²"), hint))
    rows = []
    for row in table.rows:
        cells = [_view(row.title, row.title.lower(), head=True)]
        for word, value in zip(table.by, row.keys, strict=False):
            cells.append(_view(key_text(word, value), "inf" if value is None else value))
        cells += [_view("", "")] * (len(table.by) - len(row.keys))
        cells.append(_view(str(row.clips) if row.kind != "paper" else "", row.clips, number=True))
        cells += [_number(row.entries[c.id], c.decimals) for c in table.columns]
        rows.append({"kind": row.kind, "cells": cells})
    title = TITLES.get(table.by, "By " + ", ".join(HEADS[word] for word in table.by))
    return {
        "title": title + (f", against the {table.against}" if table.against else ""),
        "caption": caption(table)[0].upper() + caption(table)[1:],
        "heads": heads,
        "rows": rows,
        "notes": list(table.notes),
        "remarks": list(table.remarks),
    }


def compact_view(tables: Sequence[ReportTable], order: Sequence[str]) -> dict[str, Any]:
    """The main table and the one against the correct video as one, for the template; reasons stand at the numbers.

    Args:
        order: metric ids, as the columns shall stand.
    """
    first = tables[0]
    columns = sorted(
        ((table, column) for table in tables for column in table.columns), key=lambda pair: order.index(pair[1].id)
    )
    heads = [_head("method"), _head("clips", hint="clips behind each number")]
    heads += [
        _head(c.title + ARROWS[c.better], c.unit.replace("^2", "²"), _DIRECTIONS.get(c.better, "")) for _, c in columns
    ]
    rows = []
    for i, row in enumerate(first.rows):
        numbers = [_number(entry_at(table, first, i, column), column.decimals) for table, column in columns]
        cells = [_view(row.title, row.title.lower(), head=True), _view(str(row.clips or ""), row.clips, number=True)]
        rows.append({"kind": row.kind, "cells": [*cells, *({**number, "notes": ()} for number in numbers)]})
    return {"title": "Numbers", "caption": "", "heads": heads, "rows": rows, "notes": [], "remarks": []}


def legend(run: Run, ids: Sequence[str]) -> list[dict[str, str]]:
    """What each metric says, what is good, and what was published on recorded people."""
    return [
        {
            "title": str(spec["title"]),
            "unit": unit(spec),
            "says": str(spec.get("description") or ""),
            "good": str(spec.get("good") or _GOOD.get(str(spec["better"]), "neither high nor low")),
            "published": str(spec.get("published") or ""),
        }
        for spec in (run.metrics[name] for name in ids)
    ]


def _head(text: str, unit: str = "", hint: str = "") -> dict[str, str]:
    return {"text": text, "unit": unit, "hint": hint}


def _view(text: str, sort: Any, **more: Any) -> dict[str, Any]:
    """A cell for the template; `sort` is what the page's script orders by, "" for nothing."""
    return {
        "text": text,
        "sort": sort,
        "head": False,
        "number": False,
        "hint": "",
        "rank": None,
        "notes": (),
        "href": "",
        **more,
    }


def _number(entry: TableEntry, decimals: int) -> dict[str, Any]:
    mean = entry.mean
    if mean.mean is None:
        text = f"{mean.n}/{mean.total}" if mean.n else "–"
        return _view(text, "", number=True, notes=entry.notes, hint=mean.reason or "")
    text = shown(mean.mean, decimals).replace("inf", "∞").replace("-", "−")
    return _view(text, repr(mean.mean), number=True, rank=entry.rank, notes=entry.notes)


def licences(details: Details) -> list[tuple[str, str, str]]:
    """(what, licence, remark) of methods, clips and weights."""
    found: dict[tuple[str, str, str], None] = {}
    for label, about in details.run.methods.items():
        remark = f"paper: {about['paper']}" if about.get("paper") else ""
        found[f"method {title_of(details.run.methods, label)}", str(about.get("licence") or "not stated"), remark] = (
            None
        )
    corpus = details.about.get("corpus") or {}
    if corpus.get("licence"):
        name = f"corpus {corpus.get('name', '')} {corpus.get('version', '')}".strip()
        found[name, _licence(corpus["licence"]), ""] = None
    for clip, about in (corpus.get("clips") or {}).items():
        remark = "; ".join(filter(None, (about.get("consent"), about.get("source_url"))))
        found[f"clip {clip}", _licence(about["licence"]), remark] = None
    for name in sorted({w for spec in details.run.metrics.values() for w in spec.get("weights") or ()}):
        found[f"weights {name}", _weights_licence(name), ""] = None
    return list(found)


def _licence(about: dict[str, str]) -> str:
    return about["id"] + (f" ({about['url']})" if about.get("url") else "")


def _weights_licence(name: str) -> str:
    try:
        return entry(name).licence
    except LipbenchError:
        return "unknown to this lipbench"


def provenance(details: Details) -> list[tuple[str, str]]:
    """(name, value) rows: what was asked for, with what, where."""
    about, facts = details.about, details.about.get("provenance") or {}
    identity = (about.get("sync_model_details") or {}).get("identity") or {}
    commit = facts.get("commit")
    rows = [
        ("run", about["name"]),
        ("sync model", about["sync_model"]),
        ("protocol", str(about.get("protocol") or "")),
        ("sync model weights, SHA-256", str(identity.get("sync_model_sha256") or "")),
        ("manifest", f"{about.get('manifest', '')}"),
        ("manifest, SHA-256", str(about.get("manifest_digest") or "")),
        ("own offsets, frames at 25 fps", own_offsets(about.get("corpus") or {})),
        ("key version", str(about.get("key_version") or "")),
        (
            "lipbench",
            str(facts.get("lipbench") or "")
            + (f", commit {commit[:12]}{' with local changes' if facts.get('dirty') else ''}" if commit else ""),
        ),
        ("packages", ", ".join(f"{k} {v}" for k, v in (facts.get("packages") or {}).items())),
        ("planned on", machine(facts) if facts else ""),
        *(("made on", line) for line in details.machines),
    ]
    return [(name, value) for name, value in rows if value]


def own_offsets(corpus: Mapping[str, Any]) -> str:
    """Where the audio of the clips themselves lies, as far as the manifest says; "" where it says nothing."""
    known = {clip: said["av_offset"] for clip, said in (corpus.get("clips") or {}).items() if "av_offset" in said}
    if not known:
        return ""
    off = [f"{clip} {frames:+d}".replace("-", "−") for clip, frames in known.items() if frames]
    shown = ", ".join(off[:MOST_OFFSETS]) + (f" and {len(off) - MOST_OFFSETS} more" if len(off) > MOST_OFFSETS else "")
    none, unknown = len(known) - len(off), len(corpus["clips"]) - len(known)
    counts = [f"{none} in sync"] * bool(none) + [f"{unknown} not known"] * bool(unknown)
    return "; ".join(filter(None, (shown, *counts))) + " (+: the audio leads)"


def deviations(details: Details) -> list[tuple[str, list[str]]]:
    """(method, known differences from the published one)."""
    methods = details.run.methods
    return [(title_of(methods, k), list(m["deviations"])) for k, m in methods.items() if m.get("deviations")]


def definitions(details: Details) -> list[tuple[str, str, str, str]]:
    """(title, id and version, convention, source) of every metric."""
    return [
        (
            str(s["title"]),
            f"{name}, version {s.get('version', '?')}",
            str(s.get("convention") or ""),
            str(s.get("source") or ""),
        )
        for name, s in details.run.metrics.items()
    ]
