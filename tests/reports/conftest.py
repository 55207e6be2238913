"""Run directories written by hand: what the engine leaves, without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest


def metric(name: str, title: str, better: str = "higher", **more: Any) -> dict[str, Any]:
    base = {
        "id": name, "version": "1", "title": title, "unit": "", "better": better, "decimals": 3, "convention": "",
        "headline": True, "region": "full",
    }  # fmt: skip
    return {**base, **more}


METRICS = [
    metric("psnr_full", "PSNR", unit="dB", decimals=2, convention="psnr[mean of frames]"),
    metric("lpips_full", "LPIPS", "lower"),
    metric("lse_d", "LSE-D", "lower"),
    metric("av_offset", "AV offset", "zero", unit="frames", decimals=0),
    metric("psnr_mouth", "PSNR mouth", unit="dB", decimals=2, headline=False),
    metric("psnr_mouth_truth", "PSNR mouth", unit="dB", decimals=2, headline=True),
]


def method(label: str, title: str = "", kind: str = "method", **more: Any) -> dict[str, Any]:
    return {"label": label, "id": label, "title": title or label, "kind": kind, "paper_results": {}, "licence": "",
            **more}  # fmt: skip


def score(value: Any, reason: str | None = None, n_valid: int = 50, n_total: int = 50) -> dict[str, Any]:
    if value is None:
        n_valid, reason = 0, reason or "no reason"
    return {"value": value, "reason": reason, "n_valid": n_valid, "n_total": n_total, "version": "1", "extra": {}}


def cell(
    label: str, clip: str, language: str, scores: Mapping[str, Any], *, kind: str = "method", seed: int = 0,
    seconds: float | None = None, dub: str | None = None, status: str = "ok", reason: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "method": label, "method_id": label, "kind": kind, "clip": clip, "language": language,
        "dub": dub or f"{clip}@{language}", "train_seconds": seconds, "seed": seed, "status": status,
        "reason": reason, "video": None, "scores": {}, "keys": {},
        "metrics": {k: v if isinstance(v, dict) else score(v) for k, v in scores.items()},
    }  # fmt: skip


class RunWriter:
    """What tests write run directories with."""

    METRICS = METRICS
    metric, method, score, cell = staticmethod(metric), staticmethod(method), staticmethod(score), staticmethod(cell)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self, cells: Iterable[Mapping[str, Any]], methods: list[dict[str, Any]], *, name: str = "real",
        judge: str = "syncnet_v2", metrics: list[dict[str, Any]] = METRICS, **more: Any,
    ) -> Path:  # fmt: skip
        """Write run.json and cells.jsonl; returns the run directory."""
        root = self.folder / name
        root.mkdir()
        about = {"schema": 1, "name": name, "judge": judge, "protocol": "realvideo", "metrics": metrics,
                 "methods": methods, **more}  # fmt: skip
        (root / "run.json").write_text(json.dumps(about))
        (root / "cells.jsonl").write_text("".join(json.dumps(c, allow_nan=False) + "\n" for c in cells))
        return root

    def example(self, **more: Any) -> Path:
        """Two clips, two languages; three methods (one that lacks a clip), two controls; no judge's weights."""
        no_judge = "weights_missing: syncnet_v2 is not here; lipbench weights get syncnet_v2"
        # full, lpips, offset, mouth
        values = {
            ("wav2lip", "katie", "fr"): (34.004, 0.02, 1, 25.0), ("wav2lip", "katie", "de"): (36.004, 0.04, 1, 27.0),
            ("wav2lip", "office", "fr"): (30.0, 0.06, 0, 22.0), ("wav2lip", "office", "de"): (32.0, 0.08, 0, 24.0),
            ("lipnerf", "katie", "fr"): (33.0, 0.0202, -1, 21.0), ("lipnerf", "katie", "de"): (33.0, 0.0402, -1, 21.0),
            ("lipnerf", "office", "fr"): (33.0, 0.06, 0, 22.0), ("lipnerf", "office", "de"): (33.008, 0.08, 0, 22.0),
            ("still_mouth", "katie", "fr"): (35.0, 0.01, 0, 20.0),
            ("still_mouth", "katie", "de"): (35.0, 0.01, 0, 20.0),
            ("still_mouth", "office", "fr"): (35.0, 0.01, 0, 20.0),
            ("still_mouth", "office", "de"): (35.0, 0.01, 0, 20.0),
            ("speech2vid", "katie", "fr"): (40.0, 0.3, 5, 15.0), ("speech2vid", "katie", "de"): (40.0, 0.3, 5, 15.0),
            ("speech2vid", "office", "fr"): (40.0, 0.3, 5, 15.0),
        }  # fmt: skip
        cells = []
        kinds = {"still_mouth": "control"}
        for (label, clip, language), (full, lpips, offset, mouth) in values.items():
            scores = {
                "psnr_full": full, "lpips_full": lpips, "lse_d": score(None, no_judge), "av_offset": offset,
                "psnr_mouth": mouth, "psnr_mouth_truth": mouth - 1 if clip == "katie" else score(None, "no truth"),
            }  # fmt: skip
            cells.append(cell(label, clip, language, scores, kind=kinds.get(label, "method")))
        cells.append(cell("speech2vid", "office", "de", {}, status="oom", reason="oom: killed at 3.1 GB"))
        for clip in ("katie", "office"):
            for language in ("fr", "de"):
                scores = {"psnr_full": "inf", "lpips_full": 0.0, "lse_d": score(None, no_judge), "av_offset": 9,
                          "psnr_mouth": "inf", "psnr_mouth_truth": score(None, "no truth")}  # fmt: skip
                cells.append(cell("dubbed", clip, language, scores, kind="control"))
        methods = [
            method("dubbed", "Dubbed", "control"), method("wav2lip", "Wav2Lip", paper_results={"lpips_full": 0.02}),
            method("still_mouth", "Still mouth", "control"),
            method("lipnerf", "LipNeRF", paper_results={"psnr_full": 31.5, "lse_d": 7.0}),
            method("speech2vid", "Speech2Vid"),
        ]  # fmt: skip
        return self.write(cells, methods, **more)


@pytest.fixture
def runs(tmp_path: Path) -> RunWriter:
    """Writes run directories below tmp_path."""
    return RunWriter(tmp_path)
