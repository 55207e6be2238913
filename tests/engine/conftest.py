"""A tiny data set and a plug-in whose methods misbehave on purpose; worker processes see it through PYTHONPATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import keys, registry
from lipbench.datasets.types import Clip, Dub, Licence, Manifest

PLUGIN = '''
import os, signal, shutil, time
import numpy as np
from pydantic import Field
from lipbench import media
from lipbench.core.errors import NoFace
from lipbench.core.method import Method, MethodSpec, Outputs, Params
from lipbench.core.metric import MetricFamily, MetricSpec, Options, Score


class FakeParams(Params):
    trigger: str = ""        # a file; what happens when it exists differs by method
    gray: int = 0


class Copy(Method):
    spec = MethodSpec(id="fake-copy", version="1", title="copies", params=FakeParams)
    def synthesize(self, job):
        count(job.params.trigger)
        return Outputs({"video": shutil.copy(job.dub.video, job.out / "video.mp4")}, {"threads": job.threads})


def count(path):
    if path:
        with open(path, "a") as file:
            file.write("x")


class Staged(Copy):
    """All three stages; each adds a line to the trigger file."""
    spec = MethodSpec(id="fake-staged", version="1", title="staged", stages=("prepare", "fit", "synthesize"),
                      uses_train_seconds=True, uses_seed=True, params=FakeParams)
    def prepare(self, job):
        count(job.params.trigger)
        (job.out / "p.txt").write_text("prepared " + job.clip.id)
        return Outputs({"p": job.out / "p.txt"})
    def fit(self, job):
        count(job.params.trigger)
        text = (job.prepared / "p.txt").read_text()
        (job.out / "f.txt").write_text(f"{text} fitted {job.train_seconds} {job.seed}")
        return Outputs({"f": job.out / "f.txt"})
    def synthesize(self, job):
        made = super().synthesize(job)
        return Outputs({"video": job.out / "video.mp4"}, {"from": (job.fitted / "f.txt").read_text()})


class Sharing(Staged):
    """Its prepare is the same as that of another method, down to the name they share."""
    spec = MethodSpec(id="fake-sharing", version="1", title="shares", stages=("prepare", "fit", "synthesize"),
                      params=FakeParams)
    def stage_code(self, kind):
        from lipbench.core.method import StageCode
        return StageCode(("fake_lipbench_plugin",), shared="fake-head" if kind == "prepare" else "")
    def identity(self, params, clip_id, language):
        return {"own": self.spec.id}


class AlsoSharing(Sharing):
    spec = MethodSpec(id="fake-also-sharing", version="7", title="shares too", stages=("prepare", "synthesize"),
                      params=FakeParams)
    def synthesize(self, job):
        return Copy.synthesize(self, job)


class Driven(Copy):
    """Shows what another method made of the dub."""
    spec = MethodSpec(id="fake-driven", version="1", title="driven", params=FakeParams)
    def driver(self, params):
        return ("fake-raises" if params.gray else "fake-copy"), {"trigger": params.trigger}
    def synthesize(self, job):
        assert job.driver.parent != job.out
        return Outputs({"video": shutil.copy(job.driver, job.out / "video.mp4")})


class Faceless(Copy):
    spec = MethodSpec(id="fake-faceless", version="1", title="refuses")
    def synthesize(self, job):
        raise NoFace("no face", "it is a gray square", "film a person")


class Raises(Copy):
    spec = MethodSpec(id="fake-raises", version="1", title="raises", params=FakeParams)
    def synthesize(self, job):
        if job.params.trigger and os.path.exists(job.params.trigger):
            return super().synthesize(job)
        print("about to fail")
        raise RuntimeError("bang")


class Crashes(Copy):
    """Dies on the first attempt; lives when the trigger file exists, which it makes while dying."""
    spec = MethodSpec(id="fake-crashes", version="1", title="crashes", params=FakeParams)
    def synthesize(self, job):
        if job.params.trigger and os.path.exists(job.params.trigger):
            return super().synthesize(job)
        if job.params.trigger:
            open(job.params.trigger, "w").close()
        os.kill(os.getpid(), signal.SIGSEGV)


class Hangs(Copy):
    spec = MethodSpec(id="fake-hangs", version="1", title="hangs")
    def synthesize(self, job):
        time.sleep(600)


class Slow(Copy):
    """The third one does not end while there is a file TRIGGER.wait."""
    spec = MethodSpec(id="fake-slow", version="1", title="slow", params=FakeParams)
    def synthesize(self, job):
        made = super().synthesize(job)
        time.sleep(0.2)
        while os.path.exists(job.params.trigger + ".wait") and os.path.getsize(job.params.trigger) > 2:
            time.sleep(0.02)
        return made


class Short(Copy):
    spec = MethodSpec(id="fake-short", version="1", title="too few frames")
    def synthesize(self, job):
        frames = media.load_frames(job.dub.video)[:-3]
        media.write_video(job.out / "video.mp4", frames, fps=job.clip.fps, audio=job.dub.audio)
        return Outputs({"video": job.out / "video.mp4"})


class Memory(Copy):
    spec = MethodSpec(id="fake-memory", version="1", title="out of memory")
    def synthesize(self, job):
        raise MemoryError


class BrightnessOptions(Options):
    gain: float = Field(1.0, gt=0, description="What gray is multiplied by.")


class Brightness(MetricFamily):
    """Mean gray of the prediction, and its difference to the reference."""
    id = "fake"
    options = BrightnessOptions
    metrics = (
        MetricSpec("gray", "1", "Gray", "", "none", frozenset()),
        MetricSpec("gray_diff", "1", "dGray", "", "lower", frozenset({"reference"})),
        MetricSpec("never", "1", "Never", "", "higher", frozenset(), headline=False),
        MetricSpec("endless", "1", "Endless", "", "higher", frozenset()),
    )
    def score(self, pair):
        a = pair.options["gain"] * media.load_frames(pair.prediction).astype(float)
        b = media.load_frames(pair.reference).astype(float)
        per = a.mean((1, 2, 3))
        return {"gray": Score(per.mean(), per_frame=per, n_valid=len(a), n_total=len(a), extra={"x": np.float32(1)}),
                "gray_diff": Score(float(abs(a - b).mean()), n_valid=len(a), n_total=len(a)),
                "never": Score(None, "cannot be known"), "endless": Score(float("inf"))}
'''

NAMES = {
    "methods": {
        "fake-copy": "Copy",
        "fake-staged": "Staged",
        "fake-faceless": "Faceless",
        "fake-raises": "Raises",
        "fake-crashes": "Crashes",
        "fake-hangs": "Hangs",
        "fake-slow": "Slow",
        "fake-short": "Short",
        "fake-memory": "Memory",
        "fake-sharing": "Sharing",
        "fake-also-sharing": "AlsoSharing",
        "fake-driven": "Driven",
    },
    "metrics": {"fake": "Brightness"},
}


@pytest.fixture(scope="session", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory):
    """The plug-in, installed the way pip would: a module and a dist-info with entry points."""
    site = tmp_path_factory.mktemp("site")
    (site / "fake_lipbench_plugin.py").write_text(PLUGIN)
    info = site / "fake_lipbench_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-lipbench-plugin\nVersion: 1.0\n")
    lines = []
    for kind, points in NAMES.items():
        lines += [f"[lipbench.{kind}]", *(f"{n} = fake_lipbench_plugin:{c}" for n, c in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), before] if before else [str(site)])
    sys.path.insert(0, str(site))
    registry.sources.cache_clear()
    yield site
    sys.path.remove(str(site))
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    registry.sources.cache_clear()


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3000, round(16000 * seconds)).astype(np.int16)


@pytest.fixture(scope="session")
def media_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 20 frames at 25 fps (64x48), dubs of 0.8, 0.6 and 1.2 s."""
    folder = tmp_path_factory.mktemp("media")
    for name, base in (("one", 40), ("two", 90)):
        frames = np.stack([np.full((48, 64, 3), base + 3 * i, np.uint8) for i in range(20)])
        media.write_video(folder / f"{name}.mp4", frames, fps=25, audio=noise(0.8, base), synthetic=False)
    for language, seconds in (("fr", 0.8), ("de", 0.6), ("es", 1.2)):
        media.write_wav(folder / f"{language}.wav", noise(seconds, len(language)))
    return folder


@pytest.fixture
def manifest(media_files: Path) -> Manifest:
    licence = Licence("CC0-1.0")
    clips = tuple(
        Clip(n, media_files / f"{n}.mp4", keys.sha256_file(media_files / f"{n}.mp4"), n, "en", licence, "none needed")
        for n in ("one", "two")
    )
    dubs = tuple(
        Dub(
            f"{c.id}/{lang}",
            c.id,
            lang,
            "synthetic",
            media_files / f"{lang}.wav",
            keys.sha256_file(media_files / f"{lang}.wav"),
        )
        for c in clips
        for lang in ("fr", "de", "es")
    )
    return Manifest("tiny", "1", licence, clips, dubs, media_files, {"half": ("one",)})


#: A sync model small enough for tests. Its numbers mean nothing; that it answers, or says why not, is what counts.
SYNC_MODEL = """
from lipbench.core.weights import WeightsEntry, registry
from lipbench.metrics.sync.models import SyncModel
registry()["tiny_sync_model"] = WeightsEntry("tiny_sync_model", "tiny_syncnet.npz", "tests", "none", sha256={sha256!r})
SYNC_MODEL = SyncModel("tiny", "tiny_sync_model", {width}, {size}, False, "for tests")
"""


@pytest.fixture(scope="module")
def tiny_sync_model(tmp_path_factory: pytest.TempPathFactory):
    """The sync model "tiny" as an installed plug-in; the weights folder holds nothing else."""
    import torch

    from lipbench.metrics.sync.files import save
    from lipbench.metrics.sync.models import sync_models
    from lipbench.metrics.sync.network import SyncNet

    torch.manual_seed(0)
    site, weights = tmp_path_factory.mktemp("model-site"), tmp_path_factory.mktemp("weights")
    file = save(SyncNet(width=0.05, size=112), weights / "tiny_syncnet.npz")
    (site / "tiny_sync_model_plugin.py").write_text(
        SYNC_MODEL.format(sha256=keys.sha256_file(file), width=0.05, size=112)
    )
    info = site / "tiny_sync_model_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-sync-model-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lipbench.sync_models]\ntiny = tiny_sync_model_plugin:SYNC_MODEL\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))
        patch.setenv("LIPBENCH_WEIGHTS", str(weights))
        patch.setenv("TORCH_HOME", str(weights))
        patch.setattr(sys, "path", [str(site), *sys.path])
        sync_models.cache_clear()
        yield
    # The next module makes its own, with another file.
    sys.modules.pop("tiny_sync_model_plugin", None)
    sync_models.cache_clear()
