"""The baseline file: what a run once measured, per clip, and why that was accepted.

JSON that people can read in a diff. The gate compares two of these: the stored one and the one made of the new run.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.core import renames
from lipbench.core.atomic import write_text
from lipbench.core.errors import StoreError, UsageError
from lipbench.core.registry import former_names
from lipbench.reports.gate import policy

SCHEMA = 1
#: Earlier acceptances that a file keeps.
HISTORY = 50


@dataclass(frozen=True)
class ClipValue:
    """One clip of a headline.

    Attributes:
        value: averaged over dubs, languages, seeds; None when the clip is not complete.
        reason: why there is none.
        dubs: dub id -> digest of its inputs (clip, audio, correct video, frame rate); None when the run did not say.
    """

    value: float | None
    dubs: Mapping[str, str | None] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Headline:
    """One metric of one method, over clips.

    Attributes:
        tolerance: worsening of the mean that passes, in the metric's unit; a share when `relative`.
        relative: differences count in shares of the baseline's median (costs).
        train_seconds: of the fits; None is the whole clip.
        seeds: behind the values.
    """

    method: str
    metric: str
    title: str
    version: str
    better: str
    unit: str
    decimals: int
    region: str
    tolerance: float
    relative: bool
    train_seconds: float | None
    seeds: tuple[int, ...]
    clips: Mapping[str, ClipValue]

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.metric

    @property
    def known(self) -> dict[str, float]:
        """Clips with a value."""
        return {clip: v.value for clip, v in self.clips.items() if v.value is not None}


@dataclass(frozen=True)
class Snapshot:
    """What a run measured, and under which conditions.

    Attributes:
        sync_model: name, sha256 of the weights (None when missing), protocol, options.
        manifest_digest: of the whole data set; decides only where dubs have no digest of their own.
        hardware: gpus (names), cpu, cores.
        created: ISO time of the acceptance, "" for a run.
        commit: of the repository around the baseline file.
        history: earlier acceptances, newest last.
    """

    run: str
    sync_model: Mapping[str, Any]
    manifest_digest: str
    split: str | None
    key_version: int
    hardware: Mapping[str, Any]
    headlines: Mapping[tuple[str, str], Headline]
    created: str = ""
    commit: str | None = None
    reason: str = ""
    history: tuple[Mapping[str, Any], ...] = ()


def to_json(snapshot: Snapshot, lipbench: str) -> str:
    """The file's text."""
    headlines = []
    for line in snapshot.headlines.values():
        clips = {
            clip: {"value": _number(v.value), **({"reason": v.reason} if v.reason else {}), "dubs": dict(v.dubs)}
            for clip, v in line.clips.items()
        }
        headlines.append(
            {
                "method": line.method,
                "metric": line.metric,
                "title": line.title,
                "version": line.version,
                "better": line.better,
                "unit": line.unit,
                "decimals": line.decimals,
                "region": line.region,
                "tolerance": line.tolerance,
                "relative": line.relative,
                "train_seconds": line.train_seconds,
                "seeds": list(line.seeds),
                "n": len(line.known),
                "clips": clips,
            }
        )
    data = {
        "schema": SCHEMA,
        "created": snapshot.created,
        "reason": snapshot.reason,
        "commit": snapshot.commit,
        "lipbench": lipbench,
        "run": snapshot.run,
        "sync_model": dict(snapshot.sync_model),
        "split": snapshot.split,
        "manifest_digest": snapshot.manifest_digest,
        "key_version": snapshot.key_version,
        "hardware": dict(snapshot.hardware),
        "headlines": headlines,
        "history": [dict(h) for h in snapshot.history],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def _number(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def from_json(text: str, where: str, accept: str = policy.ACCEPT) -> Snapshot:
    """The baseline in a file's text; `accept` as for `read`.

    Raises:
        StoreError: another schema.
        UsageError: not a baseline.
    """
    fix = f"make a new one: `{accept}`"
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise StoreError(
                f"cannot read {where}", f"its schema is {data['schema']}, this lipbench reads {SCHEMA}", fix
            )
        data = {**data, **renames.present_record({name: data[name] for name in renames.FIELDS if name in data})}
        lines = [_headline(line) for line in data["headlines"]]
        return Snapshot(
            str(data["run"]),
            data["sync_model"],
            str(data["manifest_digest"]),
            data["split"],
            int(data["key_version"]),
            data["hardware"],
            {line.key: line for line in lines},
            str(data["created"]),
            data["commit"],
            str(data["reason"]),
            tuple(data["history"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{where} is not a baseline", f"{type(error).__name__}: {error}", fix) from error


def _headline(data: Mapping[str, Any]) -> Headline:
    clips = {
        clip: ClipValue(None if v["value"] is None else float(v["value"]), v["dubs"], v.get("reason", ""))
        for clip, v in data["clips"].items()
    }
    names = ("method", "metric", "title", "version", "better", "unit", "decimals", "region", "tolerance", "relative")
    fixed = {name: data[name] for name in names}
    fixed["method"] = former_names().get(fixed["method"], fixed["method"])
    return Headline(**fixed, train_seconds=data["train_seconds"], seeds=tuple(data["seeds"]), clips=clips)


def read(path: Path, ref: str | None = None, accept: str | None = None) -> Snapshot:
    """The baseline in a file; with `ref` as it is in that commit or branch of the git repository around it.

    Args:
        accept: the command that makes a baseline, for errors; that of the command line when left out.

    Raises:
        UsageError: no such file (in that commit), or not a baseline.
        StoreError: of another schema.
    """
    accept = accept or policy.ACCEPT.replace("FILE", str(path))
    make = f"make one: `{accept}`"
    if ref is not None:
        return from_json(_from_git(path, ref, make), f"{ref}:{path}", accept)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no baseline {path}", "", make) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the baseline {path}", str(error), make) from error
    return from_json(text, str(path), accept)


def _from_git(path: Path, ref: str, make: str) -> str:
    folder = next(p for p in path.absolute().parents if p.is_dir())
    name = path.absolute().relative_to(folder).as_posix()
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "show", f"{ref}:./{name}"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"cannot read {path} from git", str(error), "is git installed?") from error
    if done.returncode == 0:
        return done.stdout
    why = (done.stderr.strip() or "git says nothing").splitlines()[0]
    absent = "exists on disk, but not in" in why or "does not exist in" in why
    fetch = "fetch it first (in GitHub Actions: actions/checkout with fetch-depth: 0)"
    raise UsageError(f"there is no {path} in {ref}", why, f"{make} and commit it" if absent else fetch)


def commit_of(path: Path) -> str | None:
    """The commit that is checked out around a file, or None outside git."""
    folder = next(p for p in path.absolute().parents if p.is_dir())
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def write(path: Path, snapshot: Snapshot) -> None:
    """Write a baseline file, whole or not at all."""
    write_text(path, to_json(snapshot, __version__))
