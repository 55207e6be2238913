"""Batch norm in the generator's decoder while it learns; none of it in what is exported.

The published graph has no normalization behind the bottleneck. Trained like that from scratch, the small layers next to
the bottleneck die (docs/speech2vid.md), and with them goes the audio. In evaluation mode a batch norm is a factor and
a summand per channel, which its convolution takes in: the exported network is the published graph, answer for answer.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lipbench.baselines.speech2vid.networks import Speech2VidNet

#: From the bottleneck to 53 px. The large maps after them have a skip of their own and did not die.
NORMED = ("conv8", "conv1_1", "conv1_2", "conv1_3", "conv2", "conv3_1", "conv3_2", "conv4")


def normed(net: Speech2VidNet) -> Speech2VidNet:
    """Puts a batch norm behind each of the decoder's convolutions, in place."""
    for name in NORMED:
        conv = cast(nn.Conv2d, getattr(net, name))
        setattr(net, name, nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels)))
    return net


def folded(net: Speech2VidNet) -> Speech2VidNet:
    """A copy in evaluation mode, of the published layers alone, that answers the same."""
    net = deepcopy(net).eval()
    for name in NORMED:
        conv, norm = getattr(net, name)
        setattr(net, name, fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)))
    return net
