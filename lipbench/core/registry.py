"""Names -> methods, metric families, data sets and judges: entry points and built-ins, loaded only when used.

A plug-in package declares, for example

    [project.entry-points."lipbench.methods"]
    my-method = "my_package.adapter:MyMethod"

and `lipbench list methods` shows it. Two packages that claim one name are an error that names both.
"""

from __future__ import annotations

import difflib
import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from lipbench.core.contract import checked_family, checked_method
from lipbench.core.errors import UnknownName, UsageError

#: Built-ins as "module:attribute"; nothing is imported before `load`.
BUILTINS: dict[str, dict[str, str]] = {
    "methods": {
        "dubbed": "lipbench.baselines.controls:Dubbed",
        "truth": "lipbench.baselines.controls:Truth",
        "still-mouth": "lipbench.baselines.controls:StillMouth",
        "shifted-audio": "lipbench.baselines.controls:ShiftedAudio",
        "precomputed": "lipbench.baselines.precomputed:Precomputed",
        "external": "lipbench.baselines.external:External",
        "lipnerf": "lipbench.lipnerf.method:LipNerf",
        "wav2lip": "lipbench.baselines.wav2lip:Wav2Lip",
        "ad-nerf": "lipbench.baselines.adnerf.method:AdNerf",
        "makeittalk": "lipbench.baselines.makeittalk:MakeItTalk",
        "speech2vid": "lipbench.baselines.speech2vid:Speech2Vid",
        "pc-avs": "lipbench.baselines.pcavs:PcAvs",
        **{
            name: f"lipbench.baselines.external.ready:{name.replace('-', '_')}"
            for name in (
                "musetalk",
                "latentsync",
                "video-retalking",
                "sadtalker",
                "ip-lap",
                "er-nerf",
                "synctalk",
                "talking-gaussian",
                "makeittalk-original",
            )
        },
    },
    "metrics": {
        "image": "lipbench.metrics.image:ImageFamily",
        "lpips": "lipbench.metrics.lpips_family:LpipsFamily",
        "sync": "lipbench.metrics.sync:SyncFamily",
        "landmarks": "lipbench.metrics.landmarks:LandmarkFamily",
        "mesh": "lipbench.metrics.mesh:MeshFamily",
        "temporal": "lipbench.metrics.temporal:TemporalFamily",
    },
    "datasets": {"demo": "lipbench.datasets.demo:manifest"},
}


@cache
def sources(kind: str) -> dict[str, str]:
    """Every known name of a kind ("methods", "metrics", "datasets") with its "module:attribute".

    Raises:
        UsageError: two sources claim one name.
    """
    found = dict(BUILTINS[kind])
    origin = dict.fromkeys(found, "lipbench itself")
    for point in entry_points(group=f"lipbench.{kind}"):
        package = point.dist.name if point.dist else point.value
        if point.name in found:
            raise UsageError(
                f"two {kind} are called {point.name!r}",
                f"one comes from {origin[point.name]}, one from {package}",
                f"uninstall one of them or rename its entry point in lipbench.{kind}",
            )
        found[point.name], origin[point.name] = point.value, package
    return found


def names(kind: str) -> list[str]:
    """All known names of a kind, built-ins first."""
    return list(sources(kind))


def unknown(kind: str, name: str, known: list[str]) -> UnknownName:
    """The error for a name that does not exist, with the nearest ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return UnknownName(
        f"there is no {kind.rstrip('s')} called {name!r}",
        f"known: {', '.join(sorted(known)) or 'none'}",
        f"did you mean {' or '.join(near)}?" if near else f"`lipbench list {kind}` shows them",
    )


@cache
def load(kind: str, name: str) -> Any:
    """An instance of the named method or metric family.

    Raises:
        UnknownName: with the nearest known names.
        UsageError: the plug-in cannot be imported, or does not keep its contract.
    """
    known = sources(kind)
    if name not in known:
        raise unknown(kind, name, list(known))
    module, _, attribute = known[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"cannot load the {kind.rstrip('s')} {name!r} from {known[name]}",
            f"{type(error).__name__}: {error}",
            "reinstall the package that provides it, or leave it out of the run",
        ) from error
    if kind == "methods":
        return checked_method(found, name, known[name])
    if kind == "metrics":
        return checked_family(found, name, known[name])
    return found() if callable(found) else found
