"""SyncNet as a measure of lip synchronization: LSE-D, LSE-C and the AV offset.

    SyncNet().load("syncnet_v2.model").score(frames, audio)     the network alone, on face crops
    evaluate("video.mp4", sync_model="syncnet_v2")                 a whole video: find the face, track, crop, score
    SyncFamily                                                the metrics of a benchmark run

Everything is loaded when first used: listing metrics needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.metrics.sync.arithmetic import SyncScore as SyncScore
    from lipbench.metrics.sync.family import SyncFamily as SyncFamily
    from lipbench.metrics.sync.folded import FoldedSyncNet as FoldedSyncNet
    from lipbench.metrics.sync.measure import evaluate as evaluate
    from lipbench.metrics.sync.models import SyncModel as SyncModel
    from lipbench.metrics.sync.network import SyncNet as SyncNet
    from lipbench.metrics.sync.options import SyncOptions as SyncOptions
    from lipbench.metrics.sync.result import SyncResult as SyncResult

_HOMES = {
    "FoldedSyncNet": "folded",
    "SyncModel": "models",
    "SyncFamily": "family",
    "SyncNet": "network",
    "SyncOptions": "options",
    "SyncResult": "result",
    "SyncScore": "arithmetic",
    "evaluate": "measure",
}
__all__ = ["FoldedSyncNet", "SyncFamily", "SyncModel", "SyncNet", "SyncOptions", "SyncResult", "SyncScore", "evaluate"]
__getattr__ = lazy(__name__, _HOMES)
