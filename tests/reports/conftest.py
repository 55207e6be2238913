"""Run directories written by hand: what the engine leaves, without running anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lipbench import media
from lipbench.core.store import Record, Store


def metric(name: str, title: str, better: str = "higher", **more: Any) -> dict[str, Any]:
    base = {
        "id": name,
        "version": "1",
        "title": title,
        "unit": "",
        "better": better,
        "decimals": 3,
        "convention": "",
        "headline": True,
        "region": "full",
    }
    return {**base, **more}


METRICS = [
    metric("psnr_full", "PSNR", unit="dB", decimals=2, convention="psnr[mean of frames]"),
    metric("lpips_full", "LPIPS", "lower"),
    metric("lse_d", "LSE-D", "lower", needs=["audio", "faces"], good="low", published="6.3 to 7.2 on recorded speech"),
    metric("av_offset", "AV offset", "zero", unit="frames", decimals=0, needs=["audio", "faces"]),
    metric("psnr_mouth", "PSNR mouth", unit="dB", decimals=2, headline=False, region="mouth"),
    metric("psnr_mouth_truth", "PSNR mouth", unit="dB", decimals=2, region="mouth", needs=["faces", "truth"]),
]


def method(label: str, title: str = "", kind: str = "method", **more: Any) -> dict[str, Any]:
    return {
        "label": label,
        "id": label,
        "title": title or label,
        "kind": kind,
        "paper_results": {},
        "licence": "",
        **more,
    }


def score(value: Any, reason: str | None = None, n_valid: int = 50, n_total: int = 50) -> dict[str, Any]:
    if value is None:
        n_valid, reason = 0, reason or "no reason"
    return {"value": value, "reason": reason, "n_valid": n_valid, "n_total": n_total, "version": "1", "extra": {}}


def cell(
    label: str,
    clip: str,
    language: str,
    scores: Mapping[str, Any],
    *,
    kind: str = "method",
    seed: int = 0,
    seconds: float | None = None,
    dub: str | None = None,
    status: str = "ok",
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "method": label,
        "method_id": label,
        "kind": kind,
        "clip": clip,
        "language": language,
        "dub": dub or f"{clip}@{language}",
        "train_seconds": seconds,
        "seed": seed,
        "status": status,
        "reason": reason,
        "video": None,
        "scores": {},
        "keys": {},
        "metrics": {k: v if isinstance(v, dict) else score(v) for k, v in scores.items()},
    }


class RunWriter:
    """What tests write run directories with."""

    METRICS = METRICS
    metric, method, score, cell = staticmethod(metric), staticmethod(method), staticmethod(score), staticmethod(cell)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        cells: Iterable[Mapping[str, Any]],
        methods: list[dict[str, Any]],
        *,
        name: str = "real",
        sync_model: str = "syncnet_v2",
        metrics: list[dict[str, Any]] = METRICS,
        **more: Any,
    ) -> Path:
        """Write run.json and cells.jsonl; returns the run directory."""
        root = self.folder / name
        root.mkdir()
        about = {
            "schema": 1,
            "name": name,
            "sync_model": sync_model,
            "protocol": "realvideo",
            "metrics": metrics,
            "methods": methods,
            **more,
        }
        (root / "run.json").write_text(json.dumps(about))
        (root / "cells.jsonl").write_text("".join(json.dumps(c, allow_nan=False) + "\n" for c in cells))
        return root

    def example(self, **more: Any) -> Path:
        """Two clips, two languages; three methods (one that lacks a clip), two controls; no sync model's weights."""
        no_sync_model = "weights_missing: syncnet_v2 is not here; lipbench weights get syncnet_v2"
        # full, lpips, offset, mouth
        values = {
            ("wav2lip", "katie", "fr"): (34.004, 0.02, 1, 25.0),
            ("wav2lip", "katie", "de"): (36.004, 0.04, 1, 27.0),
            ("wav2lip", "office", "fr"): (30.0, 0.06, 0, 22.0),
            ("wav2lip", "office", "de"): (32.0, 0.08, 0, 24.0),
            ("lipnerf", "katie", "fr"): (33.0, 0.0202, -1, 21.0),
            ("lipnerf", "katie", "de"): (33.0, 0.0402, -1, 21.0),
            ("lipnerf", "office", "fr"): (33.0, 0.06, 0, 22.0),
            ("lipnerf", "office", "de"): (33.008, 0.08, 0, 22.0),
            ("still-mouth", "katie", "fr"): (35.0, 0.01, 0, 20.0),
            ("still-mouth", "katie", "de"): (35.0, 0.01, 0, 20.0),
            ("still-mouth", "office", "fr"): (35.0, 0.01, 0, 20.0),
            ("still-mouth", "office", "de"): (35.0, 0.01, 0, 20.0),
            ("speech2vid", "katie", "fr"): (40.0, 0.3, 5, 15.0),
            ("speech2vid", "katie", "de"): (40.0, 0.3, 5, 15.0),
            ("speech2vid", "office", "fr"): (40.0, 0.3, 5, 15.0),
        }
        cells = []
        kinds = {"still-mouth": "control"}
        for (label, clip, language), (full, lpips, offset, mouth) in values.items():
            scores = {
                "psnr_full": full,
                "lpips_full": lpips,
                "lse_d": score(None, no_sync_model),
                "av_offset": offset,
                "psnr_mouth": mouth,
                "psnr_mouth_truth": mouth - 1 if clip == "katie" else score(None, "no truth"),
            }
            cells.append(cell(label, clip, language, scores, kind=kinds.get(label, "method")))
        cells.append(cell("speech2vid", "office", "de", {}, status="oom", reason="oom: killed at 3.1 GB"))
        for clip in ("katie", "office"):
            for language in ("fr", "de"):
                scores = {
                    "psnr_full": "inf",
                    "lpips_full": 0.0,
                    "lse_d": score(None, no_sync_model),
                    "av_offset": 9,
                    "psnr_mouth": "inf",
                    "psnr_mouth_truth": score(None, "no truth"),
                }
                cells.append(cell("dubbed", clip, language, scores, kind="control"))
        methods = [
            method("dubbed", "Dubbed", "control"),
            method("wav2lip", "Wav2Lip", paper_results={"lpips_full": 0.02}),
            method("still-mouth", "Still mouth", "control"),
            method("lipnerf", "LipNeRF", paper_results={"psnr_full": 31.5, "lse_d": 7.0}),
            method("speech2vid", "Speech2Vid"),
        ]
        return self.write(cells, methods, **more)


@pytest.fixture
def runs(tmp_path: Path) -> RunWriter:
    """Writes run directories below tmp_path."""
    return RunWriter(tmp_path)


class StoredRun:
    """A run directory with records and small videos behind its cells, as the engine leaves them.

    Two clips in fr and de, methods good, bad and still; training lengths 3, 5 and whole when `lengths`; bad fails on
    one cell. Frame k of a video is a gray of its own, with a white square that moves; 20 frames of 64x64 at 25 fps.
    """

    FRAMES = 20
    SHIFT: ClassVar[dict[str, int]] = {"good": 0, "bad": 6, "still": -2}

    def __init__(self, root: Path, lengths: tuple[float | None, ...] = (None,), files: bool = True) -> None:
        self.root, self.store, self.files = root, Store(root), files
        methods = [
            method("good", "Good one", stages=["fit", "synthesize"]),
            method("bad", "Bad <one>"),
            method("still", "Still", "control"),
        ]
        cells = [
            self._cell(m["id"], m["kind"], clip, language, seconds)
            for m in methods
            for clip in ("ann", "bob")
            for language in ("fr", "de")
            for seconds in lengths
        ]
        dubs = {}
        for clip in ("ann", "bob"):
            for language, kind in (("fr", "synthetic"), ("de", "original")):
                dubs[f"{clip}@{language}"] = {
                    "clip": clip,
                    "language": language,
                    "kind": kind,
                    "offset_s": 0.0,
                    "transcript": f"parole {language}",
                    "phonemes": [[0.0, 0.2, "p"], [0.2, 0.5, "ɛ"], [0.5, 0.8, ""]],
                }
        clip_about = {
            "licence": {"id": "CC-BY-4.0", "url": "https://example.org/by"},
            "consent": "given",
            "speaker": "s",
            "language": "en",
            "source_url": "",
        }
        about = {
            "schema": 1,
            "name": "stored",
            "sync_model": "syncnet_v2",
            "protocol": "realvideo",
            "metrics": METRICS,
            "methods": methods,
            "manifest": "demo",
            "request": {"name": "stored"},
            "provenance": {"lipbench": "0", "python": "3", "cpu": "x", "cores": 1, "packages": {"numpy": "2"}},
            "corpus": {
                "name": "c",
                "version": "1",
                "licence": {"id": "CC0-1.0", "url": ""},
                "dubs": dubs,
                "clips": {"ann": clip_about, "bob": clip_about},
            },
        }
        (root / "run.json").write_text(json.dumps(about))
        (root / "cells.jsonl").write_text("".join(json.dumps(c) + "\n" for c in cells))

    def _record(self, kind: str, name: str, *, status: str = "ok", outputs: tuple[str, ...] = (), **more: Any) -> str:
        key = hashlib.sha256(f"{kind} {name}".encode()).hexdigest()
        if self.store.get(key) is None:
            work = self.store.workspace(key)
            (work / "log.txt").write_text(f"working on {name}\nlast line <b>of</b> {name}\n")
            files = {}
            for out in outputs if self.files else ():
                path = work / "out" / ("per_frame.npz" if out == "per_frame" else f"{out}.mp4")
                self._file(path, name)
                files[out] = {"path": f"out/{path.name}", "sha256": "", "bytes": path.stat().st_size}
            self.store.put(Record(key, kind, status, outputs=files, **{"preimage": {}, **more}), work)
        return key

    def _file(self, path: Path, name: str) -> None:
        if path.suffix == ".npz":
            np.savez(path, psnr_full=np.linspace(20, 30, self.FRAMES) + len(name), lse_d=np.full(self.FRAMES, np.nan))
            return
        frames = np.empty((self.FRAMES, 64, 64, 3), np.uint8)
        for k in range(self.FRAMES):
            frames[k] = 40 + 5 * k
            frames[k, 20:40, 2 * k : 2 * k + 20] = (250, 240, 90 if "bad" in name else 200)
        tone = (8000 * np.sin(np.arange(12800) / 9)).astype(np.int16)
        media.write_video(path, frames, 25, audio=tone)

    def _cell(self, label: str, kind: str, clip: str, language: str, seconds: float | None) -> dict[str, Any]:
        name = f"{label} {clip} {language} {seconds}"
        dub = self._record("dub", f"{clip} {language}", outputs=("video",))
        timing = {"wall_s": 4.0 if label == "good" else 1.0}
        if label == "bad" and (clip, language) == ("bob", "de"):
            error = {"reason": "oom", "what": "killed", "why": "3.1 GB", "fix": "less", "traceback": "Traceback <here>"}
            made = self._record("synthesize", name, status="oom", error=error)
            return cell(label, clip, language, {}, seconds=seconds, status="oom", reason="oom: killed at 3.1 GB") | {
                "keys": {"dub": dub, "synthesize": made, "score": {}}
            }
        inputs = {"fit": self._record("fit", name, timing={"wall_s": 10.0 * (seconds or 8)})} if label == "good" else {}
        made = self._record("synthesize", name, outputs=("video",), timing=timing, preimage={"inputs": inputs})
        scored = self._record("score", name, outputs=("per_frame",))
        plus = {"ann": 0.0, "bob": 0.5}[clip] + {"fr": 0.0, "de": 0.1}[language]
        # A valley at the method's own offset: distances[j] belongs to the offset 15 - j.
        distances = [7 + plus + min(4, 0.5 * abs(15 - j - self.SHIFT[label])) for j in range(31)]
        tracks = [{"n_windows": 15, "distances": distances}, {"n_windows": 3, "distances": [99.0] * 31}]
        lse = score(7 + plus + (0 if seconds is None else 6 / seconds)) | {"extra": {"tracks": tracks}}
        scores = {
            "psnr_full": {"good": 31.0, "bad": 25.0, "still": 36.0}[label] + plus,
            "lpips_full": 0.1,
            "lse_d": lse,
            "av_offset": self.SHIFT[label],
            "psnr_mouth": 20.0,
            "psnr_mouth_truth": score(None, "no truth"),
        }
        return cell(label, clip, language, scores, kind=kind, seconds=seconds) | {
            "video": str((self.store.directory(made) / "out/video.mp4").relative_to(self.root)),
            "keys": {"dub": dub, "synthesize": made, "score": {"image": scored}},
        }


@pytest.fixture(scope="session")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with videos; read it, never change it."""
    return StoredRun(tmp_path_factory.mktemp("stored")).root


@pytest.fixture(scope="session")
def stored_lengths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at training lengths of 3 s, 5 s and the whole clip, without the files."""
    return StoredRun(tmp_path_factory.mktemp("lengths"), (3.0, 5.0, None), files=False).root


@pytest.fixture(scope="session")
def folder_page(stored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of `stored_run`, folder form."""
    from lipbench.reports.html import write

    return write(stored_run, tmp_path_factory.mktemp("page")).page


@pytest.fixture(scope="session")
def single_report(stored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same in one file, as `write` answers."""
    from lipbench.reports.html import write

    return write(stored_run, tmp_path_factory.mktemp("page") / "one.html", single_file=True)
