"""What `lipbench run` does without an argument: every method that needs no outside weights on the packaged corpus."""

from __future__ import annotations

from typing import Any


def demo_run() -> dict[str, Any]:
    """The demo's run file."""
    return {
        "name": "demo",
        "manifest": "demo",
        "judge": "demo",
        "methods": ["dubbed", "still_mouth", "shifted_audio", "truth"],
    }
