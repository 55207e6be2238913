"""The method files that come with lipbench: valid, named in the registry, honest about what nobody has tried."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.external import load_external, ready
from lipbench.baselines.external.checkout import doctor
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.reading import read
from lipbench.core.errors import Refused
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load, names

#: name -> repository, commit, licence of the code.
WANTED = {
    "musetalk": ("https://github.com/TMElyralab/MuseTalk", "0a89dec", "MIT"),
    "latentsync": ("https://github.com/bytedance/LatentSync", "a229c39", "Apache-2.0"),
    "video-retalking": ("https://github.com/OpenTalker/video-retalking", "d32e8e5", "Apache-2.0"),
    "sadtalker": ("https://github.com/OpenTalker/SadTalker", "cd4c046", "Apache-2.0"),
    "ip-lap": ("https://github.com/Weizhi-Zhong/IP_LAP", "9b9dc03", "Apache-2.0"),
    "er-nerf": ("https://github.com/Fictionarry/ER-NeRF", "0cf72d8", "MIT"),
    "synctalk": ("https://github.com/ZiqiaoPeng/SyncTalk", "d2427a3", "CC BY-NC 4.0"),
    "talking-gaussian": ("https://github.com/Fictionarry/TalkingGaussian", "9bd34f7", "no licence file at the root"),
    "makeittalk-original": ("https://github.com/yzhou359/MakeItTalk", "fad2fe4", "CC BY-NC 4.0"),
    "wav2lip-original": (
        "https://github.com/Rudrabha/Wav2Lip",
        "5c90fa9",
        "no licence file; the README allows personal, research and non-commercial use",
    ),
    "diff2lip": ("https://github.com/soumik-kanad/diff2lip", "0655a45", "CC BY-NC 4.0"),
    "keysync": ("https://github.com/antonibigata/keysync", "cfff7cf", "Apache-2.0"),
    "infinitetalk": ("https://github.com/MeiGen-AI/InfiniteTalk", "0107cd9", "Apache-2.0"),
    "sonic": ("https://github.com/jixiaozhong/Sonic", "51a74ae", "CC BY-NC-SA 4.0"),
    "echomimic-v3": ("https://github.com/antgroup/echomimic_v3", "7e89489", "Apache-2.0"),
    "real3dportrait": ("https://github.com/yerfor/Real3DPortrait", "a9d70c7", "MIT"),
    "dinet": ("https://github.com/MRzzm/DINet", "3b57fb0", "no licence file"),
}
#: What a README states of its own results, on its own data.
PUBLISHED = {
    "er-nerf": {"psnr_full": 26.594, "lpips_full": 0.0446},
    "synctalk": {"psnr_full": 37.644, "lpips_full": 0.0117},
}
#: They learn the clip's speaker first.
LEARN = ("er-nerf", "synctalk", "talking-gaussian")


@pytest.fixture(autouse=True)
def _repos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_REPOS", str(tmp_path / "repos"))


def test_there_is_a_file_for_each_and_the_registry_knows_it() -> None:
    assert set(ready.names()) == set(WANTED) <= set(names("methods"))


@pytest.mark.parametrize("name", WANTED)
def test_the_file(name: str, tmp_path: Path) -> None:
    assert isinstance(load("methods", name), Method)
    method = ready.ready(name)
    d: Definition = method.located.definition
    assert (d.name, d.repo.url, d.repo.commit, d.licence.code) == (name, *WANTED[name])
    assert d == Definition.model_validate(json.loads(d.model_dump_json()))
    assert any("untested" in line for line in d.deviations)
    assert "Untested here" in (ready.FOLDER / f"{name}.yaml").read_text()
    assert method.located.repo == tmp_path / "repos" / Path(d.repo.path).name
    assert d.paper_results == PUBLISHED.get(name, {})
    assert d.status == ("untested" if name == "makeittalk-original" else "stub-tested")  # nobody has run its weights
    assert d.licence.url.startswith(f"{d.repo.url}/")
    assert d.repo.commit in d.licence.url
    assert (d.fit is not None, method.spec.uses_train_seconds) == (name in LEARN, name in LEARN)
    assert d.output.find == "exact" or d.output.pattern.endswith(".mp4")
    with pytest.raises(Refused) as caught:
        method.identity(method.spec.params(), "c", "fr")
    assert caught.value.reason == "repo_missing"
    assert f"git clone {d.repo.url}" in caught.value.fix


def test_commands_use_each_input_once() -> None:
    for name in WANTED:
        d = read(ready.FOLDER / f"{name}.yaml").definition
        words = " ".join([*(d.argv or ()), *(w for step in d.before for w in step), *d.files.values()])
        assert "{audio}" in words, name
        if d.prepare is not None:
            words = " ".join(w for step in d.prepare.commands for w in step)
        assert "{video}" in words, name


def test_where_checkouts_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPBENCH_REPOS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ready.ready("musetalk").located.repo == tmp_path / "lipbench" / "repos" / "MuseTalk"


def test_a_checkout_at_another_commit_is_noticed(tmp_path: Path) -> None:
    repo = tmp_path / "repos" / "MuseTalk"
    repo.mkdir(parents=True)
    for words in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"]):
        subprocess.run(["git", "-C", str(repo), *words], check=True)
    found = {f.what.split(" ")[0]: f for f in doctor(ready.ready("musetalk").located)}
    assert found["repo"].reason == "repo_mismatch"
    assert not found["weights"].ok


#: Stands for upstream's program: it looks at what it is given and writes three images side by side at 62.5 a second.
PROGRAM = """
import glob, sys, wave
from fractions import Fraction
import av, cv2, numpy as np

assert sys.argv[1:3] == ["--jpg", "photo.jpg"]
assert glob.glob("examples/*.wav") == ["examples/dub.wav"]
photo = cv2.imread("examples/photo.jpg")
assert photo.shape == (256, 256, 3)
assert open("examples/dump/emb.pickle").read() == "voices"
with wave.open("examples/dub.wav") as sound:
    assert sound.getframerate() == 16000
    rows = 1 + sound.getnframes() // 256
with av.open("examples/photo_pred_fls_dub_audio_embed.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=Fraction(125, 2))
    stream.width, stream.height, stream.pix_fmt = 768, 256, "yuv420p"
    for _ in range(rows - 18):
        image = np.concatenate([photo, 255 - photo, photo * 0], 1)
        for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
            out.mux(packet)
    out.mux(stream.encode(None))
"""


def test_the_original_makeittalk_gets_and_gives_what_it_should(make_job: Callable[..., DubJob], tmp_path: Path) -> None:
    repo = tmp_path / "MakeItTalk"
    (repo / "examples" / "dump").mkdir(parents=True)
    (repo / "examples" / "ckpt").mkdir()
    (repo / "main_end2end.py").write_text(PROGRAM)
    (repo / "examples" / "M6_04_16k.wav").write_bytes(b"upstream's own")
    (repo / "examples" / "dump" / "emb.pickle").write_text("voices")
    text = (ready.FOLDER / "makeittalk-original.yaml").read_text()
    text = text.replace("${LIPBENCH_REPOS}/MakeItTalk", str(repo)).replace(", commit: fad2fe4", "")
    text = re.sub(r"^env:.*$", "env: {type: none}", text, flags=re.M).replace(
        "gpu: true, binaries: [ffmpeg]", "gpu: false"
    )
    (tmp_path / "m.yaml").write_text(text)
    for name in ("autovc", "content_branch", "speaker_branch", "116_i2i_comb"):
        (repo / "examples" / "ckpt" / f"ckpt_{name}.pth").write_bytes(b"x")
    method = load_external(tmp_path / "m.yaml")
    made = method.synthesize(make_job(method.spec.params()))
    info = media.probe(made.files["video"])
    assert abs(info.n_frames - 20) <= 1
    assert (info.width, info.height, float(info.fps)) == (96, 80, 25.0)
    # The middle image, back at the clip's size.
    source = media.load_frames(make_job(None).dub.video)[0].astype(int)
    drawn = media.load_frames(made.files["video"])[3].astype(int)
    assert np.abs(drawn - (255 - source)).mean() < 8
    assert (repo / "examples" / "M6_04_16k.wav").exists()  # the checkout is as it was


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'face_fusion'"):
        _ = ready.face_fusion
