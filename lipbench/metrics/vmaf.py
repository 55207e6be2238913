"""VMAF of whole frames by an ffmpeg with libvmaf, on request; the version of that ffmpeg is part of the key."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, Options, Pair, Score, none_for
from lipbench.metrics.frame_metric import specs
from lipbench.metrics.functional import vmaf
from lipbench.metrics.pair_reader import AGAINST, SUFFIX, PairReader
from lipbench.metrics.series import from_frames


class VmafOptions(Options):
    """Options of the family vmaf."""

    ffmpeg: str = Field("", description="Path of an ffmpeg with libvmaf; the PATH and imageio-ffmpeg are looked at.")


class VmafFamily(MetricFamily):
    """vmaf_full and vmaf_full_truth."""

    id = "vmaf"
    on_request = True
    options = VmafOptions
    metrics = specs(
        "vmaf",
        "VMAF",
        regions=("full",),
        unit="",
        better="higher",
        tolerance=0.05,
        decimals=2,
        source="github.com/Netflix/vmaf, by FFmpeg's filter libvmaf",
        convention=f"{vmaf.MODEL},420 yuv,mean over frames",
        description="What viewers would say of the compression, 0 to 100, as a regression on detail and motion",
        good=dict.fromkeys(AGAINST, "near 100; it knows no face and no mouth"),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return {"ffmpeg": vmaf.find(self.parse(options).ffmpeg)[1]}
        except LipbenchError:
            return {"ffmpeg": ""}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        found = super().obstacles(options)
        try:
            vmaf.find(self.parse(options).ffmpeg)
        except LipbenchError as error:
            found["an ffmpeg with libvmaf"] = error
        return found

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        try:
            path, _ = vmaf.find(self.parse(pair.options).ffmpeg)
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        reader, going = PairReader(pair), dict[str, vmaf.Vmaf]()
        with tempfile.TemporaryDirectory(prefix="lipbench-vmaf-") as folder:
            try:
                for step in reader:
                    for against, other in step.others.items():
                        if against not in going:
                            work = Path(folder) / against
                            work.mkdir()
                            going[against] = vmaf.Vmaf(path, (other.shape[1], other.shape[0]), work)
                        going[against].push(step.prediction, other)
                return {f"vmaf_full{SUFFIX[against]}": _score(reader, going, against) for against in AGAINST}
            except LipbenchError as error:
                return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
            finally:
                for one in going.values():
                    one.stop()


def _score(reader: PairReader, going: Mapping[str, vmaf.Vmaf], against: str) -> Score:
    if against in reader.refusals:
        return Score(None, reader.refusals[against])
    if against not in going:
        return Score(None, "too_short: there is no frame")
    return from_frames(going[against].finish(), extra=reader.facts(against))
