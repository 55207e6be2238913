"""The metric families, and the weights of LPIPS."""

from __future__ import annotations

from lipbench.core.weights import WeightsEntry

_TORCHVISION_TERMS = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms are non-commercial research"

#: Family -> its class, in the order of the table's columns.
METRICS = {
    "image": "lipbench.metrics.image:ImageFamily",
    "lpips": "lipbench.metrics.lpips_family:LpipsFamily",
    "sync": "lipbench.metrics.sync:SyncFamily",
    "landmarks": "lipbench.metrics.landmarks:LandmarkFamily",
    "mesh": "lipbench.metrics.mesh:MeshFamily",
    "temporal": "lipbench.metrics.temporal:TemporalFamily",
}

WEIGHTS = (
    WeightsEntry(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "trunk of LPIPS (AlexNet, v0.1)",
        _TORCHVISION_TERMS,
        244_408_911,
        "7be5be79",
        ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
        hub=True,
    ),
    WeightsEntry(
        "vgg16",
        "vgg16-397923af.pth",
        "trunk of LPIPS (VGG)",
        _TORCHVISION_TERMS,
        553_433_881,
        "397923af",
        ("https://download.pytorch.org/models/vgg16-397923af.pth",),
        hub=True,
    ),
)
