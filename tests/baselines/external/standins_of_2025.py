"""Stand-ins for the methods that were added later: their arguments, their files, their numbers of frames."""

from __future__ import annotations

WAV2LIP = """
import argparse, subprocess
from standin import *
p = argparse.ArgumentParser()
p.add_argument("--checkpoint_path", type=str, required=True); p.add_argument("--face", type=str, required=True)
p.add_argument("--audio", type=str, required=True); p.add_argument("--outfile", default="results/result_voice.mp4")
p.add_argument("--static", type=bool, default=False); p.add_argument("--fps", type=float, default=25.0)
p.add_argument("--pads", nargs="+", type=int, default=[0, 10, 0, 0])
for name, default in (("--face_det_batch_size", 16), ("--wav2lip_batch_size", 128), ("--resize_factor", 1)):
    p.add_argument(name, type=int, default=default)
for name in ("--crop", "--box"):
    p.add_argument(name, nargs="+", type=int)
for name in ("--rotate", "--nosmooth"):
    p.add_argument(name, action="store_true")
a = p.parse_args()
assert a.face.split(".")[1] == "mp4" and os.path.isfile(a.face) and a.audio.endswith(".wav")
open(a.checkpoint_path).close()
write("temp/result.avi", windows(a.audio) + 1, size(a.face))
write(a.outfile, windows(a.audio) + 1, size(a.face))
"""

DIFF2LIP = """
import argparse, shutil
from standin import *
assert "torch" in sys.modules, "the card is taken first"
def flag(text):
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
p = argparse.ArgumentParser()
for name in ("class_cond", "learn_sigma", "resblock_updown", "use_fp16", "use_scale_shift_norm", "predict_xstart",
             "rescale_timesteps", "use_ddim", "use_ref", "use_audio", "audio_as_style", "save_orig", "is_voxceleb2",
             "generate_from_filelist", "use_kl", "rescale_learned_sigmas", "clip_denoised"):
    p.add_argument("--" + name, type=flag, default=True)
for name in ("num_channels", "num_head_channels", "num_res_blocks", "diffusion_steps", "nframes", "nrefer",
             "image_size", "sampling_batch_size", "face_det_batch_size", "video_fps", "sample_rate"):
    p.add_argument("--" + name, type=int)
p.add_argument("--face_hide_percentage", type=float)
for name in ("attention_resolutions", "noise_schedule", "sampling_seed", "sampling_input_type", "sampling_ref_type",
             "timestep_respacing", "model_path", "video_path", "audio_path", "out_path", "pads", "filelist"):
    p.add_argument("--" + name, type=str)
p.add_argument("--sample_path", default="d2l_gen")
a = p.parse_args()
assert ("--help" in sys.argv or sys.argv[0] == "generate.py") and not a.generate_from_filelist and not a.is_voxceleb2
open(a.model_path).close()
os.makedirs(os.path.join(a.sample_path, "temp"))
shutil.rmtree(os.path.join(a.sample_path, "temp"))
if "NO_FACE" in os.environ:
    print("Error: Face not detected!", a.video_path)
    raise UnboundLocalError("face_det_results")
# From the second frame on: windows begin two frames before their own, the first two at the beginning.
n = windows(a.audio_path) + 1
if a.save_orig:
    write(a.out_path.replace(".mp4", "_orig.mp4"), n, size(a.video_path), GRAY)
write(a.out_path, n, size(a.video_path))
"""

SONIC = """
import argparse
from standin import *
p = argparse.ArgumentParser()
for name in ("image_path", "audio_path", "output_path"):
    p.add_argument(name)
p.add_argument("--dynamic_scale", type=float, default=1.0); p.add_argument("--crop", action="store_true")
p.add_argument("--seed", type=int)
a = p.parse_args()
assert a.image_path.endswith(".png")
os.makedirs(os.path.dirname(a.output_path), exist_ok=True)
silent = a.output_path.replace(".mp4", "_noaudio.mp4")
w, h = size(a.image_path)
shape = tuple(round(side * 512 / min(w, h) / 64) * 64 for side in (w, h))
n = samples(a.audio_path) // 640 // 2 * 2 - 1
write(silent, n, shape, GRAY)
write(a.output_path, n, shape)
os.remove(silent)
"""

INFINITETALK = """
import argparse, json
from standin import *
p = argparse.ArgumentParser()
p.add_argument("--task", default="infinitetalk-14B"); p.add_argument("--size", default="infinitetalk-480",
               choices=["infinitetalk-480", "infinitetalk-720"])
for name, default in (("frame_num", 81), ("max_frame_num", 1000), ("base_seed", 42), ("motion_frame", 9),
                      ("sample_steps", None), ("ulysses_size", 1), ("num_persistent_param_in_dit", None)):
    p.add_argument("--" + name, type=int, default=default)
for name in ("ckpt_dir", "infinitetalk_dir", "quant_dir", "wav2vec_dir", "dit_path", "save_file", "quant"):
    p.add_argument("--" + name)
p.add_argument("--audio_save_dir", default="save_audio"); p.add_argument("--input_json", default="examples.json")
p.add_argument("--mode", default="clip", choices=["clip", "streaming"])
for name in ("sample_shift", "sample_text_guide_scale", "sample_audio_guide_scale", "color_correction_strength"):
    p.add_argument("--" + name, type=float)
for name in ("t5_cpu", "use_teacache", "use_apg", "scene_seg"):
    p.add_argument("--" + name, action="store_true")
a = p.parse_args()
with open(a.input_json) as file:
    asked = json.load(file)
assert os.path.isfile(asked["cond_video"]) and isinstance(asked["prompt"], str)
os.makedirs(os.path.join(a.audio_save_dir, "video"))
n = int(samples(asked["cond_audio"]["person1"]) / 16000 * 25)
assert n > a.frame_num, "Aduio file not exists or length not satisfies frame nums."
assert a.mode == "streaming"
n = min(n, a.max_frame_num)
write(a.save_file + "-temp.mp4", n, (640, 448), GRAY)
write(a.save_file + ".mp4", n, (640, 448))
os.remove(a.save_file + "-temp.mp4")
"""

KEYSYNC = """
import sys
from standin import *
known = ("filelist filelist_audio num_frames resize_size video_folder latent_folder landmark_folder audio_folder "
         "audio_emb_folder version fps_id cond_aug seed decoding_t device output_folder strength model_config "
         "model_keyframes_config min_seconds force_uc_zero_embeddings chunk_size overlap keyframes_ckpt "
         "interpolation_ckpt add_zero_flag extra_audio compute_until starting_index audio_emb_type scale mix_audio "
         "what_mask fix_occlusion position start_frame gt_as_cond nose_index save_occlusion_mask recompute").split()
if "--help" in sys.argv:
    print("usage: dubbing_pipeline_raw.py <flags>\\n" + "\\n".join("    --%s=%s" % (n, n.upper()) for n in known))
    sys.exit(0)
given, words = {}, iter(sys.argv[1:])
for word in words:
    assert word.startswith("--"), word
    name, equals, value = word[2:].partition("=")
    assert name in known, name
    given[name] = value if equals else next(words)
wavlm = "/vol/of/its/authors/pretrained_models/checkpoints/WavLM-Base+.pt"
for path in (wavlm, given["keyframes_ckpt"], given["interpolation_ckpt"]):
    open(path).close()
assert given["force_uc_zero_embeddings"] == "[cond_frames, audio_emb]" and given["recompute"] == "True"
os.makedirs(given["output_folder"])
name = "_".join(os.path.basename(given[k]).rpartition(".")[0] for k in ("filelist", "filelist_audio"))
with av.open(given["filelist"]) as video:
    pictures = sum(1 for _ in video.decode(video=0))
# One feature less for every 20 s of sound.
heard = samples(given["filelist_audio"]) // 640 - samples(given["filelist_audio"]) // 320000 // 2
n = min(pictures, heard, int(given["compute_until"]) * 25)
write(os.path.join(given["output_folder"], name + ".mp4"), (n - 14) // 13 * 13 + 14, (512, 512))
"""

ECHOMIMIC = """
import argparse
from standin import *
p = argparse.ArgumentParser()
for name in ("config_path", "model_name", "transformer_path", "vae_path", "lora_path", "wav2vec_model_dir",
             "sampler_name", "GPU_memory_mode", "weight_dtype", "add_prompt", "negative_prompt", "mouth_prompts"):
    p.add_argument("--" + name)
for name in ("image_path", "audio_path", "prompt"):
    p.add_argument("--" + name, required=True)
p.add_argument("--save_path", default="outputs"); p.add_argument("--video_length", type=int, default=81)
p.add_argument("--fps", type=int, default=25); p.add_argument("--sample_size", type=int, nargs=2, default=[768, 768])
for name in ("ckpt_idx", "num_inference_steps", "neg_steps", "seed", "num_skip_start_steps", "riflex_k",
             "ulysses_degree", "ring_degree"):
    p.add_argument("--" + name, type=int)
for name in ("guidance_scale", "audio_guidance_scale", "audio_scale", "neg_scale", "teacache_threshold", "shift"):
    p.add_argument("--" + name, type=float)
p.add_argument("--enable_teacache", action="store_true", default=True)
a = p.parse_args()
os.makedirs(a.save_path, exist_ok=True)
out = os.path.join(a.save_path, os.path.basename(a.image_path).split(".")[0] + "_output.mp4")
n = min(int(samples(a.audio_path) / 16000 * a.fps - 1e-6), a.video_length)
n = (n - 1) // 4 * 4 + 1
shape = tuple(side // 16 * 16 for side in size(a.image_path))
write(out.replace("_output", "_tmp"), n, shape, GRAY)
write(out, n, shape)
os.remove(out.replace("_output", "_tmp"))
"""

REAL3D = """
import argparse
from standin import *
import checks
p = argparse.ArgumentParser()
for name in ("a2m_ckpt", "head_ckpt", "torso_ckpt", "src_img", "bg_img", "drv_aud", "drv_pose", "blink_mode",
             "out_name"):
    p.add_argument("--" + name, default="", type=str)
for name in ("temperature", "mouth_amp", "head_torso_threshold", "min_face_area_percent"):
    p.add_argument("--" + name, type=float)
p.add_argument("--out_mode", default="concat_debug"); p.add_argument("--map_to_init_pose", default="True")
p.add_argument("--seed", type=int); p.add_argument("--low_memory_usage", action="store_true")
a = p.parse_args()
assert a.src_img.endswith(".png") and a.drv_aud.endswith(".wav") and a.drv_pose == "static"
os.makedirs("infer_out/tmp", exist_ok=True)
coeff_dict = None if "NO_FACE" in os.environ else {}
assert coeff_dict is not None
n = 4 * -(-((samples(a.drv_aud) - 80) // 320) // 8)
shape = (512, 512) if a.out_mode == "final" else (2560, 512)
write("demo.mp4", n, shape, GRAY)
write(a.out_name, min(n, samples(a.drv_aud) // 640), shape)
os.remove("demo.mp4")
"""

DINET = """
import argparse, csv
from standin import *
p = argparse.ArgumentParser()
for name, default in (("source_channel", 3), ("ref_channel", 15), ("audio_channel", 29), ("mouth_region_size", 256)):
    p.add_argument("--" + name, type=int, default=default)
for name in ("source_video_path", "source_openface_landmark_path", "driving_audio_path", "pretrained_clip_DINet_path"):
    p.add_argument("--" + name, default="./asserts/" + name)
p.add_argument("--deepspeech_model_path", default="./asserts/output_graph.pb")
p.add_argument("--res_video_dir", default="./asserts/inference_result")
a = p.parse_args()
os.mkdir(a.source_video_path.replace(".mp4", ""))
with av.open(a.source_video_path) as video:
    pictures = sum(1 for _ in video.decode(video=0))
with open(a.source_openface_landmark_path) as file:
    rows = list(csv.reader(file))[1:]
assert [int(float(row[0])) for row in rows] == list(range(1, len(rows) + 1)) and len(rows[0]) >= 5 + 2 * 68
if len(rows) != pictures:
    raise ("video frames are misaligned with detected landmarks")
steps = 1 + -(-(samples(a.driving_audio_path) - 400) // 160)
n = -(-(-(-steps // 2)) // 2)
assert n >= 8
os.mkdir(a.res_video_dir)
name = os.path.join(a.res_video_dir, os.path.basename(a.source_video_path)[:-4])
write(name + "_facial_dubbing.mp4", n - 1, size(a.source_video_path), GRAY)
write(name + "_synthetic_face.mp4", n - 1, (320, 416), GRAY)
write(name + "_facial_dubbing_add_audio.mp4", n - 1, size(a.source_video_path))
"""

#: name -> files of its repository; and frames that it makes of a dub of 20 frames.
PROGRAMS: dict[str, tuple[dict[str, str], int]] = {
    "wav2lip-original": ({"inference.py": WAV2LIP}, 17),
    "diff2lip": ({"generate.py": DIFF2LIP}, 17),
    "sonic": ({"demo.py": SONIC}, 21),
    "infinitetalk": ({"generate_infinitetalk.py": INFINITETALK}, 83),
    "keysync": ({"scripts/sampling/dubbing_pipeline_raw.py": KEYSYNC}, 27),
    "echomimic-v3": ({"infer_flash.py": ECHOMIMIC}, 21),
    "real3dportrait": ({"inference/real3d_infer.py": REAL3D, "checks.py": ""}, 22),
    "dinet": ({"inference.py": DINET}, 20),
}
