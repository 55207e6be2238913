"""What `lipbench run` does without an argument: every row that runs with what the package carries, on its corpus."""

from __future__ import annotations

from typing import Any

#: Iterations of AD-NeRF's field: a minute of one core for each clip. With more of them the demo would take longer than
#: eight minutes on four cores.
STEPS = 600
#: Of LipNeRF's. With 600 of them its dubs are no nearer to the truth (docs/lipnerf.md).
RELIEF_STEPS = 350


def demo_run() -> dict[str, Any]:
    """The demo's run file. All weights in it are the package's own and named as such: demo sizes, demo sync model."""
    wav2lip = {"weights": "wav2lip-demo", "paste": "change"}
    speech2vid = {"weights": "speech2vid-demo"}
    return {
        "name": "demo",
        "manifest": "demo",
        "sync_model": "demo",
        "faces": "demo-face",
        # Everything that a run measures by default; LPIPS on all frames would double the demo.
        "metrics": ["*", {"id": "lpips", "params": {"every": 5}}],
        # Its trunk is not in the package: the demo is whole without it, and full with it.
        "allow_missing": ["lpips_*"],
        "methods": [
            {"id": "speech2vid", "label": "speech2vid-demo", "params": speech2vid},
            {"id": "pc-avs", "label": "pcavs-demo", "params": {"weights": "pcavs-demo"}},
            {"id": "makeittalk", "label": "makeittalk-demo", "params": {"weights": "makeittalk-demo"}},
            {"id": "wav2lip", "label": "wav2lip-demo", "params": wav2lip},
            {
                "id": "ad-nerf",
                "label": "ad-nerf-demo triplane",
                "params": {"field": "triplane", "steps": STEPS, "fit": "landmarks"},
            },
            {
                "id": "lipnerf",
                "label": "lipnerf-demo relief",
                "params": {
                    "field": "relief",
                    "steps": RELIEF_STEPS,
                    # Its fits are right to half a pixel.
                    "settings": {"registration": False, "appearances": 0, "behind": 0, "mouth_looks": False},
                    "fit": "landmarks",
                    "faces": "demo-face",
                    "smoothing": False,  # what is tracked in generated clips is steady
                    # The paper's is Wav2Lip; of the demo networks this one's mouths are nearest to the truth.
                    "lip_source": "speech2vid",
                    "lip_source_params": speech2vid,
                },
            },
            "dubbed",
            "still-mouth",
            "shifted-audio",
            "truth",
        ],
    }
