"""Runs the scripts behind recipes that compare pictures, from files to the printed numbers, with stand-ins.

`tools.compare_recipe` starts it in the folder of a checkout. In place of FAN stand the landmarks that lipbench found,
of a GPU the CPU, of the AlexNet that torchvision would download lipbench's, of TalkLip's file of boxes lipbench's
boxes, and of ER-NeRF's trained network one that shows given frames: all else is the script's own code, file by file.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import lpips
import numpy as np
import skimage.metrics
import torch
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import weights
from lipbench.faces import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.media.pixels import Decoder
from lipbench.metrics import regions
from lipbench.metrics.functional.lpips_trunk import read_trunk

Numbers = dict[str, float]
#: Where ER-NeRF leaves the frames that it measured and takes the true ones from, in its workspace and data set.
SHOWN, TRUE = "validation/ngp_ep0000_%04d_rgb.png", "gt_imgs/%d.jpg"


def landmarks(*found: NDArray[Any]) -> None:
    """A package face_alignment that finds the given points of several videos, picture by picture in turn."""
    left = iter([points for together in zip(*found, strict=True) for points in together])

    class FaceAlignment:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def get_landmarks(self, image: Any) -> list[Any]:
            return [next(left)]

    module = ModuleType("face_alignment")
    module.LandmarksType = type("LandmarksType", (), {"_2D": 1})  # type: ignore[attr-defined]
    module.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    sys.modules["face_alignment"] = module


def stand_in() -> None:
    """The CPU for a GPU, lipbench's AlexNet for the one that would be downloaded, SSIM's argument by its new name."""
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *_: self  # type: ignore[method-assign,assignment]
    package = lpips.LPIPS

    def with_own_trunk(net: str = "alex") -> Any:
        made = package(net=net, pnet_rand=True, verbose=False)
        trunk = read_trunk(weights.path("alexnet"), "alex")
        made.net.load_state_dict({key: trunk["features." + key.split(".", 1)[1]] for key in made.net.state_dict()})
        return made

    lpips.LPIPS = with_own_trunk  # type: ignore[misc,assignment]
    similarity = skimage.metrics.structural_similarity

    def with_channels(*given: Any, multichannel: bool = False, **options: Any) -> Any:
        return similarity(*given, channel_axis=-1 if multichannel else None, **options)

    skimage.metrics.structural_similarity = with_channels


def printed(script: str, *words: str | Path) -> str:
    """What a script prints, run as a program in this process."""
    sys.argv = [script, *map(str, words)]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        runpy.run_path(script, run_name="__main__")
    return text.getvalue()


def reported(text: str, names: Iterable[str]) -> Numbers:
    """The last "NAME = NUMBER" of each name."""
    return {name: float(re.findall(rf"{re.escape(name)} = (\S+)", text)[-1]) for name in names}


def _track(video: Path, faces: str, decoder: Decoder = "exact") -> FaceTrack:
    """As `lipbench score` tracks a video, which it decodes exactly but for what it has to copy for a recipe."""
    return track_faces(media.read_frames(video, fps=25, decoder=decoder), backend=faces, fps=25)


METERS = ("PSNR", "LPIPS (alex)", "LMD (fan)")


def talking_gaussian(prediction: Path, reference: Path, faces: str, work: Path) -> Numbers:
    """metrics.py PREDICTION REFERENCE."""
    landmarks(*(_track(video, faces).points68() for video in (prediction, reference)))
    return reported(printed("metrics.py", prediction, reference), METERS)


def talklip(prediction: Path, reference: Path, faces: str, work: Path) -> Numbers:
    """evaluation/visual_quality.py on folders of one video each; a frame without a box ends it, as it does there."""
    boxes = regions.from_track(_track(reference, faces)).boxes["face"].corners
    for name, video in (("made", prediction), ("true", reference)):
        (work / name).mkdir()
        (work / name / "clip.mp4").symlink_to(video)
    np.save(work / "clip.npy", boxes)
    (work / "list.txt").write_text("clip\n")
    words = ("--synt_root", work / "made", "--orig_root", work / "true", "--bbx_root", work)
    text = printed("evaluation/visual_quality.py", *words, "--filelist", work / "list.txt")
    psnr, ssim = re.findall(r"are (\S+) and (\S+)", text)[-1]
    return {"PSNR": float(psnr), "SSIM": float(ssim)}


def er_nerf(prediction: Path, reference: Path, faces: str, work: Path) -> Numbers:
    """main.py --test on a data set made of the reference, with a network that shows the prediction."""
    shown = [frame.astype(np.float32) / 255 for frame in media.read_frames(prediction, decoder="opencv")]
    data = _data_set(work / "data", reference, faces, len(shown))

    class Network(torch.nn.Module):
        mean_count, mean_density, mean_density_torso = 0, 0.0, 0.0

        def __init__(self, opt: Any) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def render(self, *_: Any, index: list[int], **__: Any) -> dict[str, Any]:
            image = torch.from_numpy(shown[index[0]]).reshape(1, -1, 3)
            flat = torch.ones(image.shape[:2])
            return {"image": image, **dict.fromkeys(("depth", "ambient_aud", "ambient_eye", "uncertainty"), flat)}

    module = ModuleType("nerf_triplane.network")
    module.NeRFNetwork = Network  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    landmarks(*(_track(video, faces, "opencv").points68() for video in (prediction, data / TRUE)))
    printed("main.py", data, "--test", "--workspace", work / "made")
    return reported((work / "made" / "log_ngp.txt").read_text(), METERS)


def _data_set(folder: Path, reference: Path, faces: str, n: int) -> Path:
    """What main.py reads of a data set, its pictures written as data_utils/process.py writes them."""
    for name in ("ori_imgs", "gt_imgs", "torso_imgs"):
        (folder / name).mkdir(parents=True)
    pattern = folder / "ori_imgs" / "%d.jpg"
    made = ("-vf", "fps=25", "-qmin", "1", "-q:v", "1", "-start_number", "0", pattern)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", *map(str, (reference, *made))], check=True)
    points = _track(reference, faces).points68()
    for k in range(n):
        bgr: Any = cv2.imread(str(pattern) % k)
        cv2.imwrite(str(folder / TRUE) % k, bgr)
        cv2.imwrite(str(folder / "torso_imgs" / f"{k}.png"), np.zeros((*bgr.shape[:2], 4), np.uint8))
        np.savetxt(folder / "ori_imgs" / f"{k}.lms", points[k])
    height, width = bgr.shape[:2]
    cv2.imwrite(str(folder / "bc.jpg"), bgr)
    np.save(folder / "aud_ds.npy", np.zeros((n, 16, 29), np.float32))
    (folder / "au.csv").write_text(" AU45_r\n" + "0\n" * n)
    frames = [{"img_id": k, "aud_id": k, "transform_matrix": np.eye(4).tolist()} for k in range(n)]
    about = {"w": width, "h": height, "cx": width / 2, "cy": height / 2, "focal_len": 1000, "frames": frames}
    (folder / "transforms_val.json").write_text(json.dumps(about))
    return folder


SCRIPTS: dict[str, Callable[[Path, Path, str, Path], Numbers]] = {
    "er-nerf": er_nerf,
    "talking-gaussian": talking_gaussian,
    "talklip": talklip,
}


def main() -> None:
    """Arguments: recipe, prediction, reference, face backend, folder to work in, file to write."""
    recipe, prediction, reference, faces, work, answer = sys.argv[1:]
    sys.path.insert(0, ".")
    torch.set_num_threads(1)
    stand_in()
    numbers = SCRIPTS[recipe](Path(prediction), Path(reference), faces, Path(work))
    Path(answer).write_text(json.dumps(numbers))


if __name__ == "__main__":
    main()
