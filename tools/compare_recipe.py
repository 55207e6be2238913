"""What an evaluation script prints, and what lipbench measures under its recipe, on clips of yours.

    python -m tools.compare_recipe syncnet SCRIPT_FOLDER CLIPS... -o syncnet.jsonl

SCRIPT_FOLDER is a checkout of the recipe's repository in which the evaluation can be started; for `wav2lip` that is
one of syncnet_python with the files of evaluation/scores_LSE beside it, as Wav2Lip's README says. ffmpeg and
`pip install scenedetect==0.5.1` are needed, for `er-nerf` what its test run imports: `pip install tensorboardX trimesh
PyMCubes torch-ema imageio imageio-ffmpeg`. Both sides have one network and one detector's boxes (`--faces`): the
published weights may not be passed on, so that without `--model` the network is a random one, and what is compared is
all between the file and the network, and the arithmetic behind it. For `talklip`, `talking-gaussian` and `er-nerf`
(`tools.recipe_images`) the clip is the reference, and the same clip with a blurred mouth the prediction; of `er-nerf`
lipbench measures the pictures that the test run leaves. Writes a line a clip and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from lipbench import media
from lipbench.engine.score import score_video
from lipbench.metrics.sync import SyncNet
from lipbench.metrics.sync.face_boxes import boxes_of_track, track_prediction
from tools import recipe_images, recipe_stand_ins

#: Of scripts whose default is not 100.
MIN_TRACK = {"latentsync": 50}
ROOT = Path(__file__).parent.parent
NEEDS = "where a module is missing, install what the script imports; the head of tools/compare_recipe.py names it"


def random_network(folder: Path) -> Path:
    """A SyncNet of the published size with random weights (seed 0), in the layout of syncnet_v2.model."""
    torch.manual_seed(0)
    file = folder / "random.model"
    torch.save(SyncNet(1.0, 224).state_dict(), file)
    return file


def first_seconds(clip: Path, seconds: float, file: Path) -> Path:
    """The beginning of a clip with its sound, at 25 fps."""
    frames = np.stack(list(media.read_frames(clip, fps=25, end_s=seconds)))
    sound = media.read_audio(clip)[: len(frames) * 640]
    return media.write_video(file, frames, 25, audio=sound, synthetic=False)


def run_script(script: Path, module: str, *words: str | Path) -> None:
    """One of the modules that run a script, in the script's folder."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, cwd=script, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"the script in {script} ended with {done.returncode}\nits last words stand above\n{NEEDS}")


def script_numbers(
    recipe: str, script: Path, video: Path, model: Path, faces: str, work: Path, min_track: int
) -> dict[str, float]:
    """What the script finds in a video: the mean over its tracks of each number that it prints."""
    info = media.probe(video)
    boxes = boxes_of_track(track_prediction(video, faces), round(info.duration_s * 25), (info.width, info.height), "")
    (work / "boxes.json").write_text(
        json.dumps([[[b.x1, b.y1, b.x2, b.y2, b.score] for b in found] for found in boxes.faces])
    )
    places = (video.resolve(), model.resolve(), work / "boxes.json", work / "made", work / "answer.json")
    run_script(script, "tools.recipe_stand_ins", recipe, *places, str(min_track))
    rows = json.loads((work / "answer.json").read_text())
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def blurred(video: Path, file: Path) -> Path:
    """The same with a blur of sigma 2 over the lower middle of the picture: rows 1/2 to 9/10, columns 1/4 to 3/4."""
    frames = np.stack(list(media.read_frames(video)))
    height, width = frames.shape[1:3]
    place = np.s_[height // 2 : height * 9 // 10, width // 4 : width * 3 // 4]
    for frame in frames:
        frame[place] = cv2.GaussianBlur(frame[place], (0, 0), 2)
    return media.write_video(file, frames, 25, synthetic=False)


def compare_images(recipe: str, script: Path, clip: Path, faces: str, seconds: float) -> dict[str, Any]:
    """Both sides' numbers of one clip and its blurred copy, for a script that compares pictures."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        reference = first_seconds(clip, seconds, work / "clip.mp4") if seconds else clip.resolve()
        prediction = blurred(reference, work / "blurred.mp4")
        run_script(script, "tools.recipe_images", recipe, prediction, reference, faces, work, work / "answer.json")
        if recipe == "er-nerf":
            prediction, reference = work / "made" / recipe_images.SHOWN, work / "data" / recipe_images.TRUE
        answer = score_video(prediction, reference=reference, recipe=recipe, faces=faces)
        theirs = json.loads((work / "answer.json").read_text())
        ours = {name: number["value"] for name, number in answer["recipe"]["prints"].items()}
    return {"clip": clip.stem, "script": theirs, "lipbench": ours}


def compare(
    recipe: str, script: Path, clip: Path, model: Path, faces: str, seconds: float, min_track: int
) -> dict[str, Any]:
    """Both sides' numbers of one clip, by the name that the script prints; the whole file as it is for 0 seconds."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        video = first_seconds(clip, seconds, work / "clip.mp4") if seconds else clip
        theirs = script_numbers(recipe, script, video, model, faces, work, min_track)
        own = {"detector": faces, "min_track": min_track}
        answer = score_video(video, recipe=recipe, sync_model=str(model), options={"sync": own})
        ours = {name: number["value"] for name, number in answer["recipe"]["prints"].items()}
    return {"clip": clip.stem, "script": theirs, "lipbench": ours}


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each number of each clip."""
    lines = [f"{'number':22}{'clip':12}{'script':>12}{'lipbench':>12}{'difference':>12}"]
    for row in rows:
        for name, theirs in row["script"].items():
            ours = row["lipbench"][name]
            tail = f"{ours:12.6f}{ours - theirs:+12.6f}" if ours is not None else f"{'none':>12}"
            lines.append(f"{name:22}{row['clip']:12}{theirs:12.6f}{tail}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recipe", choices=sorted({**recipe_images.SCRIPTS, **recipe_stand_ins.SCRIPTS}))
    parser.add_argument("script", type=Path, help="folder of the script")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="file of a SyncNet; a random one when left out")
    parser.add_argument("--faces", default="mediapipe-face", help="face backend whose boxes both sides get")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip; 0: the file as it is, at 25 fps")
    parser.add_argument("--min-track", type=int, help="frames that a track has to have more of; the script's own else")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, open(given.output, "w", encoding="utf-8") as out:
        model = given.model or random_network(Path(folder))
        for clip in given.clips:
            if given.recipe in recipe_images.SCRIPTS:
                rows.append(compare_images(given.recipe, given.script, clip, given.faces, given.seconds))
            else:
                least = given.min_track if given.min_track is not None else MIN_TRACK.get(given.recipe, 100)
                rows.append(compare(given.recipe, given.script, clip, model, given.faces, given.seconds, least))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
    print(table(rows))


if __name__ == "__main__":
    main()
