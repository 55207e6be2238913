"""PC-AVS end to end, narrow and with random weights: sound, alignment, files in upstream's layout, refusals."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.baselines.pcavs import (
    AudioEncoder,
    IdentityEncoder,
    PcAvs,
    PcAvsGenerator,
    PoseMouthEncoder,
    alignment,
    sound,
)
from lipbench.baselines.pcavs.checkpoint import load, read_state_dict, together
from lipbench.baselines.pcavs.inference import PcAvsInference, read_poses
from lipbench.core import weights
from lipbench.core.errors import NoFace, Refused, TooShort, Unsupported, WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.method import DubJob, Method, Outputs, PrepareJob
from lipbench.core.registry import load as load_method
from lipbench.faces.track import FaceTrack

Make = Callable[..., DubJob]
WIDTH, CLASSES = 1 / 16, 7
NETS = {"G": PcAvsGenerator, "V": IdentityEncoder, "E": PoseMouthEncoder, "A_sync": AudioEncoder}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream's layout: one bare state dict per file, here narrow and random; G once with data-parallel prefixes."""
    where = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(3)
    for name, kind in NETS.items():
        net = kind(WIDTH) if kind is PcAvsGenerator else kind(WIDTH, CLASSES)
        state = net.state_dict()
        for key, value in state.items():
            if key.endswith("noise.weight"):
                value.fill_(0.3)
            elif (
                kind is not PcAvsGenerator and value.dim() > 1
            ):  # torch's own start is too weak to carry sound and pose
                torch.nn.init.kaiming_normal_(value)
        if kind is PcAvsGenerator:
            state = {f"module.{k}": v for k, v in state.items()}
        torch.save(state, where / f"latest_net_{name}.pth")
    return where


def params(folder: Path, **fields: Any) -> Any:
    return PcAvs.spec.params(checkpoints=str(folder), **fields)


def made_of(job: DubJob) -> Outputs:
    """Both stages."""
    folder = job.out / "prepared"
    folder.mkdir(exist_ok=True)
    PcAvs().prepare(PrepareJob(out=folder, clip=job.clip, params=job.params))
    return PcAvs().synthesize(replace(job, prepare_folder=folder))


def run(job: DubJob) -> tuple[np.ndarray, dict[str, Any]]:
    made = made_of(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    assert info.audio is not None
    assert media.is_synthetic(made.files["video"])
    return media.load_frames(made.files["video"]), dict(made.info)


def test_from_clip_and_dub_to_a_video(make_job: Make, folder: Path, clip_files: Path, tmp_path: Path) -> None:
    frames, info = run(make_job(params(folder)))
    assert info == {
        "faces": "file",
        "frames_without_face": 0,
        "identity_frame": 0,
        "paste": "feather",
        "width": WIDTH,
        "size": 224,
        "weights": "published",
    }
    source = media.load_frames(clip_files / "dub.mp4")
    changed = np.abs(frames.astype(int) - source).mean(3)
    track = FaceTrack.load(clip_files / "faces.npz")
    for t in (0, 10, 19):
        x, y = np.rint(track.points68()[t, 60:68].mean(0)).astype(int)  # type: ignore[index]
        assert changed[t, y - 6 : y + 6, x - 6 : x + 6].mean() > 10
        # The eyes are 18 px apart, 50 in the aligned square: the crop of 192 there is 69 px wide, from x - 34.6 on.
        assert changed[t, :, : x - 38].mean() < 2
        assert changed[t, :, x + 38 :].mean() < 2

    (tmp_path / "again").mkdir()
    job = make_job(params(folder), out=tmp_path / "again")
    run(job)
    assert (job.out / "video.mp4").read_bytes() == (tmp_path / "out" / "video.mp4").read_bytes()


def test_the_sound_moves_the_face_and_so_does_the_pose(folder: Path) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (2, 224, 224, 3), np.uint8)
    nets = [load(folder / f"latest_net_{name}.pth", kind) for name, kind in NETS.items()]
    drawer = PcAvsInference(together(*nets), crops[0])  # type: ignore[arg-type]
    quiet, loud = np.zeros((1, 80, 20), np.float32), rng.random((1, 80, 20), np.float32)
    poses = read_poses(drawer.networks, crops, np.eye(2, 3)[None].repeat(2, 0))
    first = drawer.infer(poses[:1], quiet).astype(int)
    assert np.abs(drawer.infer(poses[:1], loud) - first).mean() > 1
    assert np.abs(drawer.infer(poses[1:], quiet) - first).mean() > 1
    both = drawer.infer(poses, np.concatenate([quiet, quiet]))
    assert np.abs(both[:1] - first).max() <= 1


def test_lost_frames_and_backwards_frames(make_job: Make, folder: Path, clip_files: Path, tmp_path: Path) -> None:
    track = FaceTrack.load(clip_files / "faces.npz")
    for array in (track.boxes, track.landmarks):
        array[[0, 1, 8]] = np.nan  # type: ignore[index]
    back = {"index": tuple(range(19, -1, -1)), "video": clip_files / "truth.mp4"}
    _, info = run(make_job(params(folder, paste="hard"), faces=track.save(tmp_path / "gaps.npz"), dub=back))
    assert info["frames_without_face"] == 3
    assert info["identity_frame"] == 0
    assert info["paste"] == "hard"
    known = FaceTrack.load(clip_files / "faces.npz")
    filled, whole = alignment.anchors(track), alignment.anchors(known)
    assert np.abs(filled[8, :, 0] - whole[8, :, 0]).max() < 1e-4  # eyes and mouth drift evenly to the right
    assert np.array_equal(filled[0], filled[2])
    assert np.abs(filled[0] - whole[0]).max() > 0.5


def test_poses_are_the_clips_in_the_order_of_the_dub(make_job: Make, folder: Path, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    def infer(self: PcAvsInference, poses: np.ndarray, mel: np.ndarray) -> np.ndarray:
        seen.append(poses)
        return np.zeros((len(poses), 224, 224, 3), np.uint8)

    (there := tmp_path / "there").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PcAvsInference, "infer", infer)
        run(make_job(params(folder)))
        run(make_job(params(folder), dub={"index": tuple(range(19, -1, -1))}, out=there))
    forth, back = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    assert np.ptp(forth, axis=0).max() > 0
    assert np.array_equal(back, forth[::-1])


def test_poses_do_not_depend_on_how_crops_go_back(folder: Path) -> None:
    hard, feather = (PcAvs().stage_inputs("prepare", params(folder, paste=way)) for way in ("hard", "feather"))
    assert hard == feather
    hard, feather = (PcAvs().stage_inputs("synthesize", params(folder, paste=way)) for way in ("hard", "feather"))
    assert hard != feather


def test_nobody_there(make_job: Make, folder: Path, clip_files: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="without a face track"):
        made_of(make_job(params(folder), faces=False))
    track = FaceTrack.load(clip_files / "faces.npz")
    bare = FaceTrack("boxes", 25, 96, 80, track.boxes, track.score, track.n_faces)
    with pytest.raises(Unsupported, match="no landmarks"):
        made_of(make_job(params(folder), faces=bare.save(tmp_path / "bare.npz")))
    track.boxes[:] = np.nan
    with pytest.raises(NoFace):
        made_of(make_job(params(folder), faces=track.save(tmp_path / "none.npz")))


def test_weights_are_the_users(make_job: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "weights"))
    method = load_method("methods", "pc-avs")
    assert isinstance(method, Method)
    plain = PcAvs.spec.params()
    assert method.weights(plain) == ("pcavs_generator", "pcavs_identity", "pcavs_pose", "pcavs_audio")
    with pytest.raises(WeightsMissing, match=r"latest_net_G\.pth"):
        made_of(make_job(plain))
    for name, file in zip(method.weights(plain), ("G", "V", "E", "A_sync"), strict=True):
        weights.add(name, folder / f"latest_net_{file}.pth", any_size=True)
    assert run(make_job(plain))[1]["width"] == WIDTH
    assert method.identity(plain, "c", "fr") == {}

    own = params(folder)
    assert method.weights(own) == ()
    assert set(method.identity(own, "c", "fr")) == set(method.weights(plain))
    with pytest.raises(WeightsMissing, match="latest_net_G"):
        method.identity(params(tmp_path), "c", "fr")


def test_checkpoints(folder: Path, tmp_path: Path) -> None:
    for name, kind in NETS.items():
        net = load(folder / f"latest_net_{name}.pth", kind)
        assert net.width == WIDTH
        assert not net.training
    state = read_state_dict(folder / "latest_net_G.pth")
    assert torch.equal(load(folder / "latest_net_G.pth", PcAvsGenerator).conv1.conv.weight, state["conv1.conv.weight"])
    with pytest.raises(WeightsMismatch, match="no PcAvsGenerator"):
        load(folder / "latest_net_V.pth", PcAvsGenerator)
    with pytest.raises(WeightsMismatch, match="entries differ"):
        load(_short(folder, tmp_path), AudioEncoder)
    with pytest.raises(WeightsMissing):
        load(tmp_path / "nowhere.pth", PcAvsGenerator)


def _short(folder: Path, tmp_path: Path) -> Path:
    state = read_state_dict(folder / "latest_net_A_sync.pth")
    del state["model.attention.0.weight"]
    torch.save(state, tmp_path / "short.pth")
    return tmp_path / "short.pth"


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("trap.txt").write_text, ("sprung",))


def test_pickled_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.conv.weight": Trap()}, tmp_path / "latest_net_G.pth")
    with pytest.raises(WeightsError, match="cannot read"):
        load(tmp_path / "latest_net_G.pth", PcAvsGenerator)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(WeightsError, match="cannot read"):
        load(tmp_path / "plain.pth", PcAvsGenerator)
    assert not (tmp_path / "trap.txt").exists()


def test_networks_of_two_widths_are_refused(make_job: Make, folder: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in folder.iterdir():
        (mixed / file.name).write_bytes(file.read_bytes())
    torch.save(AudioEncoder(1 / 8, CLASSES).state_dict(), mixed / "latest_net_A_sync.pth")
    with pytest.raises(WeightsMismatch, match="fit together"):
        made_of(make_job(params(mixed)))


def test_spectrogram_frames_and_loudness() -> None:
    time = np.arange(16000) / 16000
    tone = (6000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    mel = sound.melspectrogram(tone)
    assert mel.shape == (80, 107)
    assert mel.min() >= 0
    assert mel.max() <= 1
    quiet = sound.melspectrogram(tone // 2)
    assert np.abs(mel[:, 10:90].max(0) - quiet[:, 10:90].max(0)).max() < 1e-3  # leveled
    assert not sound.melspectrogram(np.zeros(1600, np.int16)).any()
    with pytest.raises(TooShort):
        sound.melspectrogram(np.zeros(0, np.int16))

    # Column m covers samples 160 m - 1120 to 160 m + 160, so a click at sample 8000 is heard by columns 50 to 57.
    click = np.zeros(16000, np.int16)
    click[8000] = 20000
    assert list(np.flatnonzero(sound.melspectrogram(click).any(0))) == list(range(50, 58))


def test_one_column_by_hand() -> None:
    from librosa.filters import mel as filters

    rng = np.random.default_rng(1)
    x = rng.integers(-9000, 9000, 4000).astype(np.int16)
    signal = x / 32768 * 0.1 / np.sqrt(np.mean((x / 32768) ** 2))
    i = np.arange(1280)
    window = 0.5 * np.sqrt(0.5 * (1 - np.cos(2 * np.pi * (2 * i + 1) / 2560)))
    magnitude = np.abs(np.fft.rfft(signal[160 * 12 - 1120 : 160 * 12 + 160] * window))
    bands = filters(sr=16000, n_fft=1280, n_mels=80, fmin=125, fmax=7600) @ magnitude
    expected = np.clip((20 * np.log10(np.maximum(1e-5, bands)) - 20 + 100) / 100, 0, 1)
    assert np.abs(sound.melspectrogram(x)[:, 12] - expected).max() < 1e-6


def test_windows_keep_the_first_and_last_frames() -> None:
    mel = np.arange(1, 101, dtype=np.float32)[None].repeat(80, 0)
    made = sound.windows(mel, 25, 25)
    assert made.shape == (25, 80, 20)
    for f in range(2, 23):
        assert np.array_equal(made[f], mel[:, 4 * (f - 2) : 4 * (f - 2) + 20])
    assert list(made[0, 0]) == [0] * 8 + list(range(1, 13))
    assert list(made[24, 0]) == [*range(89, 101), *[0] * 8]
    assert list(sound.windows(mel, 50, 3)[2, 0, 4:6]) == [1, 2]


def test_eyes_and_mouth_land_where_they_belong(clip_files: Path) -> None:
    angle = 0.2
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (alignment.PLACES - (3, 9)) @ np.linalg.inv(turn).T
    assert np.abs(alignment.similarity(source, alignment.PLACES) - np.hstack([turn, [[3], [9]]])).max() < 1e-9

    track = FaceTrack.load(clip_files / "faces.npz")
    matrices, middles = alignment.follow(track), alignment.anchors(track)
    assert np.ptp(matrices[:, :, :2], axis=0).max() == 0  # one scale and turn for the clip
    mouths = np.einsum("tij,tj->ti", matrices[:, :, :2], middles[:, 2]) + matrices[:, :, 2]
    assert np.abs(mouths[0] - alignment.PLACES[2]).max() < 1e-6
    drift = 0.4 * np.hypot(*matrices[0, :, 0])  # px a frame; a fifth of the last shift lags by a quarter of that
    assert abs(mouths[-1, 0] - (112 + 0.25 * drift)) < 0.05


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_what_was_cut_goes_back_to_its_place(scale: float) -> None:
    rng = np.random.default_rng(2)
    frame = cv2.GaussianBlur(rng.integers(0, 255, (300, 340, 3)).astype(np.uint8), (0, 0), 5 / min(scale, 1))
    frame = np.clip((frame.astype(float) - 127) * 6 + 127, 0, 255).astype(np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 3)
    matrix = np.array([[scale, 0.05 * scale, 112 - scale * 170], [-0.05 * scale, scale, 112 - scale * 150]])
    back = alignment.put_back(frame, alignment.cut(frame, matrix), matrix, "feather").astype(int)
    # A crop that leaves the image mixes its black into the outermost pixels.
    inside = np.abs(back - frame)[8:-8, 8:-8]
    assert inside.max() <= 12
    assert inside.mean() < 0.6
    inverted = alignment.put_back(frame, 255 - alignment.cut(frame, matrix), matrix, "hard").astype(int)
    cx, cy = np.linalg.solve(matrix[:, :2], np.array([112, 96]) - matrix[:, 2])  # middle of the crop
    x, y = round(cx), round(cy)
    assert np.abs(inverted[y, x] - (255 - frame[y, x].astype(int))).max() <= 6
    assert np.ptp(frame) > 60
