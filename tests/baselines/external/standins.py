"""Programs with the arguments and the output of methods' entry scripts, and no network.

Written from what the scripts do at the commits that the method files name: which options they take, which files they
write in which order, and how many frames come out for how long a dub. Their result has one color, all else another.
"""

from __future__ import annotations

#: What a stand-in draws as its result, RGB; everything beside it (depth, sketch, mouth alone) is gray.
RESULT = (200, 60, 60)

COMMON = '''
import os, sys, wave
from fractions import Fraction
import av, numpy as np

def length(audio):
    """Frames at 25 fps under a wav, as long as the last one counts."""
    with wave.open(audio) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16000, 1)
        return sound.getnframes() // 640

def windows(audio):
    """Windows of 16 steps of a spectrogram, 80 steps a second, that begin with a frame: the last one ends with it."""
    steps, k = 1 + samples(audio) // 200, 0
    while int(k * (80.0 / 25)) + 16 <= steps:
        k += 1
    return k

def samples(audio):
    with wave.open(audio) as sound:
        return sound.getnframes()

def size(video):
    with av.open(video) as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height

def write(path, n, size, color=(200, 60, 60), fps=25, beside=None):
    folder = os.path.dirname(path)
    assert not folder or os.path.isdir(folder), path
    width, height = size
    image = np.full((height, width, 3), color, np.uint8)
    if beside is not None:
        image = np.concatenate([np.full_like(image, beside), image], 1)
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        for _ in range(n):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))

GRAY = (127, 127, 127)
'''

VIDEO_RETALKING = """
import argparse
from standin import *
p = argparse.ArgumentParser()
for name in ("--DNet_path", "--LNet_path", "--ENet_path", "--face3d_net_path", "--exp_img", "--fps", "--up_face"):
    p.add_argument(name)
p.add_argument("--face", required=True); p.add_argument("--audio", required=True)
p.add_argument("--outfile"); p.add_argument("--tmp_dir", default="temp")
p.add_argument("--LNet_batch_size", type=int, default=16); p.add_argument("--face_det_batch_size", type=int, default=4)
for name in ("--static", "--without_rl1", "--re_preprocess"):
    p.add_argument(name, action="store_true")
a = p.parse_args()
os.makedirs(os.path.join("temp", a.tmp_dir), exist_ok=True)
n = windows(a.audio) + 1
write("temp/{}/result.mp4".format(a.tmp_dir), n, size(a.face))
os.makedirs(os.path.dirname(a.outfile), exist_ok=True)
write(a.outfile, n, size(a.face))
"""

IP_LAP = """
import argparse
from standin import *
p = argparse.ArgumentParser()
for name in ("--input", "--audio", "--output_dir", "--landmark_gen_checkpoint_path", "--renderer_checkpoint_path"):
    p.add_argument(name)
p.add_argument("--static", type=bool)
a = p.parse_args()
os.makedirs(a.output_dir, exist_ok=True)
write(os.path.join(a.output_dir, "clip_N_25_Nl_15.mp4"), length(a.audio) - 4, size(a.input), beside=GRAY)
"""

LATENTSYNC = """
import argparse
from standin import *
p = argparse.ArgumentParser()
p.add_argument("--unet_config_path", default="configs/unet.yaml")
for name in ("--inference_ckpt_path", "--video_path", "--audio_path", "--video_out_path"):
    p.add_argument(name, required=True)
p.add_argument("--inference_steps", type=int, default=20); p.add_argument("--guidance_scale", type=float, default=1.0)
p.add_argument("--temp_dir", default="temp"); p.add_argument("--seed", type=int, default=1247)
p.add_argument("--enable_deepcache", action="store_true")
a = p.parse_args()
os.makedirs("temp", exist_ok=True)
write("temp/video.mp4", length(a.audio_path), size(a.video_path), GRAY)
os.makedirs(os.path.dirname(a.video_out_path), exist_ok=True)
write(a.video_out_path, length(a.audio_path) + 2, size(a.video_path))
"""

MUSETALK = """
import argparse, shutil, yaml
from standin import *
p = argparse.ArgumentParser()
for name in ("--ffmpeg_path", "--vae_type", "--unet_config", "--unet_model_path", "--whisper_dir"):
    p.add_argument(name)
p.add_argument("--inference_config"); p.add_argument("--gpu_id", type=int, default=0)
p.add_argument("--bbox_shift", type=int, default=0)
p.add_argument("--result_dir", default="./results"); p.add_argument("--version", default="v15", choices=["v1", "v15"])
p.add_argument("--use_float16", action="store_true")
a = p.parse_args()
with open(a.inference_config) as file:
    tasks = yaml.safe_load(file)
for task in tasks.values():
    try:
        name = "{}_{}".format(*(os.path.basename(task[k]).split(".")[0] for k in ("video_path", "audio_path")))
        folder = os.path.join(a.result_dir, a.version)
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        faces, n = int(os.environ.get("FACES", 1)), length(task["audio_path"])
        n / faces
        if faces < 0:
            n = 8
            print("[image2] Could not open file : %s/00000008.png" % folder)
        write(os.path.join(folder, "temp_" + name + ".mp4"), n, size(task["video_path"]), GRAY)
        write(os.path.join(folder, name + ".mp4"), n, size(task["video_path"]))
        os.remove(os.path.join(folder, "temp_" + name + ".mp4"))
    except Exception as e:
        print("Error occurred during processing:", e)
"""

SADTALKER = """
import argparse, shutil, time
from standin import *
p = argparse.ArgumentParser()
for name in ("--driven_audio", "--source_image", "--ref_eyeblink", "--ref_pose", "--checkpoint_dir", "--enhancer"):
    p.add_argument(name)
p.add_argument("--result_dir", default="./results"); p.add_argument("--size", type=int, default=256)
p.add_argument("--still", action="store_true"); p.add_argument("--cpu", action="store_true")
p.add_argument("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
a = p.parse_args()
assert a.source_image.endswith(".png")
os.makedirs("gfpgan/weights", exist_ok=True)
open("gfpgan/weights/alignment_WFLW_4HG.pth", "a").close()
save = os.path.join(a.result_dir, time.strftime("%Y_%m_%d_%H.%M.%S"))
os.makedirs(save)
n = length(a.driven_audio)
write(os.path.join(save, "first_frame.mp4"), n, (64, 64), GRAY)
write(os.path.join(save, "whole.mp4"), n, size(a.source_image))
shutil.move(os.path.join(save, "whole.mp4"), save + ".mp4")
shutil.rmtree(save)
"""

#: name -> files of its repository; and frames that it makes beyond those of the dub.
PROGRAMS: dict[str, tuple[dict[str, str], int]] = {
    "video-retalking": ({"inference.py": VIDEO_RETALKING}, -3),
    "ip-lap": ({"inference_single.py": IP_LAP}, -4),
    "latentsync": ({"scripts/inference.py": LATENTSYNC, "configs/unet/stage2_512.yaml": ""}, 2),
    "musetalk": ({"scripts/inference.py": MUSETALK}, 0),
    "sadtalker": ({"inference.py": SADTALKER, "gfpgan/__init__.py": ""}, 0),
}
