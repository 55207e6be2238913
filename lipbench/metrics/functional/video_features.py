"""Features of pieces of a video for FVD, by an I3D network of yours.

The network of most papers is a TorchScript file, `i3d_torchscript.pt` of StyleGAN-V: I3D trained on Kinetics-400 with
the weights of Google's FVD. Nobody may pass it on with lipbench. It is called as StyleGAN-V calls it: pixels in 0..255,
which it scales to -1..1 and to 224 x 224 px itself, and it gives the 400 numbers before the softmax.

No other file that lipbench reads is a program. This one is: what it holds is run, and may write files. So whoever names
it has to say that it is trusted.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.core.errors import TooShort, UsageError, WeightsMismatch
from lipbench.metrics.arrays import Frame

#: Frames of a piece.
LENGTH = 16


def load(file: str | Path, device: str = "cpu", *, trust: bool = False) -> Any:
    """The network in a TorchScript file.

    Args:
        trust: whether the program in the file may run; without it nothing of the file is read.

    Raises:
        UsageError: there is no such file, or it is not trusted.
        WeightsMismatch: it is no TorchScript.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(
            f"there is no file {path}", "FVD needs an I3D network", "name i3d_torchscript.pt of StyleGAN-V"
        )
    if not trust:
        raise UsageError(
            f"{path} is not trusted", "TorchScript is a program, which loading runs", "give trust=True if you know it"
        )
    return _load(str(path.resolve()), path.stat().st_mtime_ns, device)


@lru_cache(maxsize=1)
def _load(path: str, changed: int, device: str) -> Any:
    try:
        return torch.jit.load(path, map_location=device).eval()
    except RuntimeError as error:
        why = str(error).strip().splitlines()[0]
        raise WeightsMismatch(f"{path} is no TorchScript file", why, "give i3d_torchscript.pt of StyleGAN-V") from error


@torch.inference_mode()
def features(net: Any, pieces: Frame, device: str = "cpu") -> NDArray[np.float64]:
    """Numbers of pieces of 16 frames each.

    Args:
        net: of `load`, or any module that takes (N, 3, 16, H, W) float pixels in 0..255 and the keywords rescale,
            resize and return_features.
        pieces: (N, 16, H, W, 3) uint8 RGB, all of one size.
        device: where the network is.

    Returns:
        (N, D); for FVD give those of many clips of two data sets to `frechet_distance`.

    Raises:
        UsageError: other dtype or shape.
        WeightsMismatch: the network cannot be called so, or gives no (1, D) numbers.

    Source:
        Unterthiner et al., "Towards accurate generative models of video", 2018; universome/stylegan-v
        `src/metrics/frechet_video_distance.py`.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import frechet_distance
        >>> from lipbench.metrics.functional import video_features
        >>> def mean_color(pixels, rescale, resize, return_features):  # in place of I3D
        ...     return pixels.mean(dim=(2, 3, 4)) / 255
        >>> pieces = np.random.default_rng(0).integers(0, 256, (6, 16, 8, 8, 3), np.uint8)
        >>> found = video_features.features(mean_color, pieces)
        >>> found.shape, round(frechet_distance(found, found), 6) + 0
        ((6, 3), 0.0)
    """
    if pieces.dtype != np.uint8 or pieces.ndim != 5 or pieces.shape[1] != LENGTH or pieces.shape[-1] != 3:
        raise UsageError(
            f"{pieces.dtype} pieces of shape {pieces.shape} are no (N, {LENGTH}, H, W, 3) uint8", "", "cut them first"
        )
    rows = []
    for piece in pieces:
        pixels = torch.from_numpy(np.ascontiguousarray(piece.transpose(3, 0, 1, 2)))[None].float().to(device)
        try:
            found = net(pixels, rescale=True, resize=True, return_features=True)
        except (RuntimeError, TypeError) as error:
            why = str(error).strip().splitlines()[0]
            raise WeightsMismatch(
                "the network of FVD cannot be called as StyleGAN-V's is", why, "give i3d_torchscript.pt of StyleGAN-V"
            ) from error
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 1:
            raise WeightsMismatch(
                "the network of FVD gives no row of numbers", "", "give i3d_torchscript.pt of StyleGAN-V"
            )
        rows.append(found[0].double().cpu().numpy())
    return np.array(rows)


def cut(frames: Frame, step: int = LENGTH) -> Frame:
    """Pieces of 16 frames that begin every `step` frames; what is left at the end is in none.

    Args:
        frames: (T, H, W, 3).

    Returns:
        (N, 16, H, W, 3).

    Raises:
        TooShort: fewer than 16 frames.
    """
    if len(frames) < LENGTH:
        raise TooShort(f"{len(frames)} frames make no piece of {LENGTH}", "", "use a longer video")
    return np.stack([frames[at : at + LENGTH] for at in range(0, len(frames) - LENGTH + 1, step)])
