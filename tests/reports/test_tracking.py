"""Trackers of experiments: what they are told, and that one which is not there is told before the work."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from lipbench.core.errors import UsageError
from lipbench.engine import tracking
from lipbench.reports.frame import load_run


class Recorder(ModuleType):
    """Notes every call; stands for any of the three."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple] = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)

        def note(*args, **more):
            self.calls.append((name, args, more))
            return self

        return note

    def __enter__(self):
        return self

    def __exit__(self, *how) -> None:
        self.calls.append(("exit", (), {}))


WANTED = {"lipnerf/psnr_full": 33.002, "wav2lip/psnr_full": 33.002, "wav2lip/av_offset": 0.5}


@pytest.mark.parametrize(("name", "module"), [(k, m) for k, (m, _) in tracking._MODULES.items()])
def test_means_and_the_request_arrive(name, module, runs, monkeypatch):
    there = Recorder(module)
    monkeypatch.setitem(sys.modules, module, there)
    root = runs.example()
    tracking.tracker(name)(root)
    sent = {k: v for k, v in values_of(there).items() if k in WANTED}
    assert sent == pytest.approx(WANTED)
    # Infinite means, and means that lack a clip, are no numbers for a curve.
    assert not any(k.startswith(("dubbed/psnr", "speech2vid/")) for k in values_of(there))
    assert "syncnet_v2" in repr(there.calls)


def values_of(there: Recorder) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, args, _ in there.calls:
        if name in ("log", "log_metrics"):
            found |= args[0]
        if name == "add_scalar":
            found[args[0]] = args[1]
    return found


@pytest.mark.parametrize("name", tracking._MODULES)
def test_what_is_not_installed_is_told_at_once(name, monkeypatch):
    monkeypatch.setitem(sys.modules, tracking._MODULES[name][0], None)
    with pytest.raises(UsageError, match=f"{name} is not installed") as caught:
        tracking.tracker(name)
    assert f"pip install {name}" in caught.value.fix


def test_names_are_such_that_all_take_them(runs):
    cells = [runs.cell("$a/b:c", "x", "fr", {"psnr_full": 30.0})]
    run = load_run(runs.write(cells, [runs.method("$a/b:c")]))
    assert tracking.numbers(run) == {"-a-b-c/psnr_full": 30.0}
