"""How often the gate is wrong, by simulation through its own code."""

from __future__ import annotations

from tools import simulate_gate as simulate


def test_false_alarms_and_detection():
    """Simulated runs through the gate's own rule: one headline, 6 clips, sd 0.15, tolerance 0.10."""
    unchanged = simulate.simulate(6, 1, 0.0, repetitions=1500)
    worse = simulate.simulate(6, 1, 0.20, repetitions=400)
    assert unchanged["closed"] < 0.04 < unchanged["mean"] + 0.02
    assert unchanged["upper"] > 0.4
    assert worse["closed"] > 0.80


def test_six_headlines_alarm_no_more_than_one_test():
    assert simulate.simulate(6, 6, 0.0, repetitions=400)["closed"] < 0.05


def test_simulation_prints_a_table(capsys):
    simulate.main(["--repetitions", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(simulate.CLIPS) * len(simulate.EFFECTS)
