"""Stand-ins for the methods that learn a person: what they process, train and render, without a network."""

from __future__ import annotations

FEATURES = """
import argparse, sys, wave
import numpy as np
p = argparse.ArgumentParser()
p.add_argument("--input", required=True); p.add_argument("--output"); p.add_argument("--metainfo")
a = p.parse_args()
with wave.open(a.input) as sound:
    np.save(a.input.replace(".wav", ".npy"), np.zeros((sound.getnframes() // 640, 16, 29), np.float32))
"""

#: Like OpenFace's program: -f VIDEO -out_dir FOLDER -of NAME writes FOLDER/NAME.csv, with the spaces in its header.
OPENFACE = """#!{python}
import argparse, csv, os
import av
p = argparse.ArgumentParser()
p.add_argument("-f", required=True); p.add_argument("-out_dir", required=True); p.add_argument("-of", required=True)
p.add_argument("-2Dfp", action="store_true", dest="points")
a = p.parse_args()
os.makedirs(a.out_dir, exist_ok=True)
with av.open(a.f) as video:
    n = sum(1 for _ in video.decode(video=0))
with open(os.path.join(a.out_dir, a.of + ".csv"), "w", newline="") as file:
    rows = csv.writer(file)
    head = ["frame", " face_id", " timestamp", " confidence", " success"]
    more = [" x_%d" % i for i in range(68)] + [" y_%d" % i for i in range(68)] if a.points else [" AU45_r"]
    rows.writerow(head + more)
    for k in range(n):
        rows.writerow([k + 1, 0, k / 25, 0.9, 1] + [40.0] * len(more))
"""

#: data_utils/process.py: frames, the split (10 of 11 to train on) and features beside the video.
PROCESS = """
import argparse, json, os
import av, numpy as np
p = argparse.ArgumentParser()
p.add_argument("path"); p.add_argument("--task", type=int, default=-1); p.add_argument("--asr", default="deepspeech")
a = p.parse_args()
base = os.path.dirname(a.path)
with av.open(a.path) as video:
    n = sum(1 for _ in video.decode(video=0))
for name in ("ori_imgs", "gt_imgs", "torso_imgs", "parsing"):
    os.makedirs(os.path.join(base, name), exist_ok=True)
for k in range(n):
    open(os.path.join(base, "ori_imgs", "%d.jpg" % k), "w").close()
split = n // 11 * 10
for name, ids in (("train", range(split)), ("val", range(split, n))):
    with open(os.path.join(base, "transforms_%s.json" % name), "w") as file:
        json.dump({"frames": [{"img_id": k} for k in ids]}, file)
open(os.path.join(base, "aud.wav"), "w").close()
"""

#: main.py of ER-NeRF and of SyncTalk, which stems from it.
MAIN = """
import argparse, glob, json
from standin import *
p = argparse.ArgumentParser()
p.add_argument("path"); p.add_argument("--workspace", default="workspace"); p.add_argument("-O", action="store_true")
for name in ("--test", "--test_train", "--torso", "--portrait", "--finetune_lips"):
    p.add_argument(name, action="store_true")
p.add_argument("--data_range", type=int, nargs="*", default=[0, -1]); p.add_argument("--seed", type=int, default=0)
p.add_argument("--iters", type=int, default=200000); p.add_argument("--patch_size", type=int, default=1)
p.add_argument("--head_ckpt", default=""); p.add_argument("--ckpt", default="latest")
p.add_argument("--aud", default=""); p.add_argument("--asr_model", default="deepspeech")
a = p.parse_args()
with open(os.path.join(a.path, "transforms_train.json")) as file:
    frames = json.load(file)["frames"][slice(*a.data_range)]
if a.asr_model == "deepspeech":
    with open(os.path.join(a.path, "au.csv")) as file:
        assert "AU45_r" in file.readline()
checkpoints, results = (os.path.join(a.workspace, name) for name in ("checkpoints", "results"))
os.makedirs(checkpoints, exist_ok=True)
os.makedirs(results, exist_ok=True)
with open(os.path.join(a.workspace, "log_ngp.txt"), "a") as log:
    log.write("test" if a.test else "train")

def save(n, epoch):
    if a.asr_model == "ave":
        write(os.path.join(results, "ngp_ep%04d.mp4" % epoch), n, (64, 64), GRAY)
        write(os.path.join(results, "ngp_ep%04d_depth.mp4" % epoch), n, (64, 64), GRAY)
        write(os.path.join(results, "ngp_ep%04d_audio.mp4" % epoch), n, (64, 64))
    else:
        write(os.path.join(results, "ngp_ep%04d.mp4" % epoch), n, (64, 64))
        write(os.path.join(results, "ngp_ep%04d_depth.mp4" % epoch), n, (64, 64), GRAY)

if a.test:
    with open(a.ckpt) as file:
        state = json.load(file)
    print("trained on %d frames, seed %d, %s" % (state["frames"], state["seed"], state["steps"]))
    assert len(frames) == state["frames"]
    save(length(a.aud) + 1 if a.asr_model == "ave" else len(np.load(a.aud)), state["epoch"])
else:
    steps = ["finetune" if a.finetune_lips else "torso" if a.torso else "head"]
    if a.torso:
        with open(a.head_ckpt) as file:
            steps = json.load(file)["steps"] + steps
    before = sorted(glob.glob(os.path.join(checkpoints, "ngp_ep*.pth")))
    if before:
        with open(before[-1]) as file:
            steps = json.load(file)["steps"] + steps
    state = {"frames": len(frames), "seed": a.seed, "steps": steps, "epoch": a.iters // 5000}
    for name in ("ngp_ep%04d.pth" % state["epoch"], "ngp.pth"):
        with open(os.path.join(checkpoints, name), "w") as file:
            json.dump(state, file)
    save(3, state["epoch"])
"""

TEETH = """
import os, sys
assert any(p.endswith("data_utils/easyportrait") for p in os.environ["PYTHONPATH"].split(":"))
os.makedirs(os.path.join(sys.argv[1], "teeth_mask"), exist_ok=True)
"""

#: train_mouth.py, train_face.py and train_fuse.py: each leaves its checkpoint, the last one needs the others'.
TRAIN_GAUSSIANS = """
import argparse, json, os, sys
p = argparse.ArgumentParser()
p.add_argument("-s", "--source_path"); p.add_argument("-m", "--model_path"); p.add_argument("--audio_extractor")
p.add_argument("--init_num", type=int); p.add_argument("--densify_grad_threshold", type=float)
p.add_argument("--opacity_lr", type=float)
a = p.parse_args()
for name in ("teeth_mask", "au.csv"):
    assert os.path.exists(os.path.join(a.source_path, name)), name
with open(os.path.join(a.source_path, "transforms_train.json")) as file:
    n = len(json.load(file)["frames"])
part = os.path.basename(sys.argv[0])[6:-3]
os.makedirs(a.model_path, exist_ok=True)
if part == "fuse":
    for other in ("face", "mouth"):
        assert os.path.exists(os.path.join(a.model_path, "chkpnt_%s_latest.pth" % other))
with open(os.path.join(a.model_path, "chkpnt_%s_latest.pth" % part), "w") as file:
    file.write(str(n))
"""

TALKING_GAUSSIAN = """
import argparse
from standin import *
p = argparse.ArgumentParser()
p.add_argument("-S", "--source_path"); p.add_argument("-M", "--model_path"); p.add_argument("--audio", default="")
for name in ("--use_train", "--fast", "--dilate", "--quiet"):
    p.add_argument(name, action="store_true")
a = p.parse_args()
with open(os.path.join(a.model_path, "chkpnt_fuse_latest.pth")) as file:
    print("trained on %s frames" % file.read())
for name in ("input.ply", "cameras.json"):
    with open(os.path.join(a.model_path, name), "w") as file:
        file.write("of this run")
n = len(np.load(a.audio))
renders = os.path.join(a.model_path, "train", "ours_None", "renders")
os.makedirs(renders, exist_ok=True)
write(os.path.join(renders, "out.mp4"), n, (64, 64))
if not a.fast:
    gt = os.path.join(a.model_path, "train", "ours_None", "gt")
    os.makedirs(gt, exist_ok=True)
    write(os.path.join(gt, "out.mp4"), n, (64, 64), GRAY)
    write(os.path.join(renders, "out_mouth.mp4"), n, (64, 64), GRAY)
"""

_DEEPSPEECH = {"data_utils/deepspeech_features/extract_ds_features.py": FEATURES, "data_utils/process.py": PROCESS}

#: As `standins.PROGRAMS`.
PROGRAMS: dict[str, tuple[dict[str, str], int]] = {
    "er-nerf": ({"main.py": MAIN, **_DEEPSPEECH}, 0),
    "synctalk": ({"main.py": MAIN, "data_utils/process.py": PROCESS}, 1),
    "talking-gaussian": (
        {
            "synthesize_fuse.py": TALKING_GAUSSIAN,
            **{f"train_{part}.py": TRAIN_GAUSSIANS for part in ("mouth", "face", "fuse")},
            "data_utils/easyportrait/create_teeth_mask.py": TEETH,
            **_DEEPSPEECH,
        },
        0,
    ),
}
