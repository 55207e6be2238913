"""Every network of the package on a device that is not the CPU, and the metrics that compute with one.

A network that is new in the package fails here until it, or one that it is a part of, stands in `NETWORKS`; a metric
family that computes on a device, until it stands in `FAMILIES`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lipbench
from lipbench.baselines.adnerf.deepspeech import INPUT, DeepSpeech
from lipbench.baselines.adnerf.phones import PhoneNet
from lipbench.baselines.adnerf.training import AudioCodes
from lipbench.baselines.makeittalk.autovc import AutoVC
from lipbench.baselines.makeittalk.image_net import ImageTranslator
from lipbench.baselines.makeittalk.landmark_nets import ContentBranch, SpeakerBranch
from lipbench.baselines.speech2vid.networks import DeblurNet, Speech2VidNet
from lipbench.baselines.wav2lip.networks import QualityDiscriminator, SyncExpert, Wav2LipGenerator
from lipbench.core import registry, weights
from lipbench.core.metric import Pair
from lipbench.faces.demo_face import DemoFace, landmarks
from lipbench.faces.detect import S3FD
from lipbench.faces.graph_net import GraphNet
from lipbench.faces.parsing import network_parser, parser
from lipbench.faces.parsing.bisenet import BiSeNet
from lipbench.faces.parsing.celebamask_unet import CelebAMaskUNet
from lipbench.faces.tflite import parse
from lipbench.lipnerf.composite import gated_inpainter
from lipbench.lipnerf.composite.gated import GatedGenerator
from lipbench.lipnerf.expression.articulation import Articulator
from lipbench.metrics.functional import dists, dlib_resnet, inception, lpips, video_features
from lipbench.metrics.functional.dists import Dists
from lipbench.metrics.functional.dlib_resnet import DlibResnet
from lipbench.metrics.functional.inception import Inception
from lipbench.metrics.functional.lpips import Lpips
from lipbench.metrics.functional.lpips_trunk import layers
from lipbench.metrics.functional.voice_activity import VoiceActivity
from lipbench.metrics.sync import models
from lipbench.metrics.sync.landmark.network import LandmarkSync
from lipbench.metrics.sync.models import SyncModel
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.model import HeadField
from lipbench.nerf.rays import Rays
from lipbench.nerf.relief.config import ReliefConfig
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.field import ReliefField
from lipbench.nerf.relief.surface import Relief
from lipbench.nerf.training.presets import preset
from tests import fake_device
from tests.faces.test_tflite import small_model
from tests.metrics.sync_videos import RULES, SIZE, clip, face_track, image, small_net, sound
from tests.training.test_pcavs_training import SMALL as SMALL_LAYOUT

FRAME = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)


def _called(*shapes: tuple[int, ...]) -> Callable[[nn.Module, str], Any]:
    """Give a network random tensors of these shapes."""

    def use(net: nn.Module, device: str) -> Any:
        generator = torch.Generator().manual_seed(0)
        return net(*(torch.rand(shape, generator=generator).to(device) for shape in shapes))

    return use


def _talking_face(net: Any, device: str) -> Any:
    """All of PC-AVS: who from an image, mouth from sound, pose from another image."""
    a, b = (torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(k)).to(device) for k in (0, 1))
    mel = torch.rand(1, 1, 80, 20, generator=torch.Generator().manual_seed(2)).to(device)
    return net.draw(net.who(a), net.mouth(mel), net.pose(b))


def _windows(net: AudioCodes, device: str) -> Any:
    return net.every(np.float32(np.random.default_rng(0).normal(size=(9, 16, 29))))


def _rendered(field: HeadField, device: str) -> Any:
    c = field.config
    direction = torch.tensor([[[0.0, 0.0, -1.0], [0.02, -0.01, -1.0]]])
    rays = Rays(torch.tensor([[0.0, 0.0, 0.7]]), direction, torch.full((1, 2), 0.5), torch.full((1, 2), 0.9))
    with torch.no_grad():
        rays = Rays(*(x.to(device) for x in rays))
        code = torch.zeros(1, c.condition + c.latent, device=device)
        return field.render(rays, torch.ones(1, 2, 3, device=device), code).fine.rgb


def _field(name: str, kind: str, **changes: Any) -> HeadField:
    config: FieldConfig = replace(preset(name, kind).field, **changes)
    return HeadField(config, torch.tensor([[-0.1] * 3, [0.1] * 3]))


def _relief() -> ReliefField:
    flat = np.zeros((8, 8), np.float32)
    eyes = ((0.2, 0.3, 0.2, 0.1), (0.6, 0.3, 0.2, 0.1))
    relief = Relief((-1.0, 1.0, 2.0, 2.0), flat, flat - 0.2, flat + 0.2, eyes, (0.4, 0.6, 0.3, 0.3))
    field = ReliefField(ReliefConfig(width=8, latent=8), relief, (16, 16), (8, 8), (4, 4), mouth=(4, 4))
    for network in (field.network, field.behind.network):
        nn.init.normal_(network.last.weight)
    return field


def _seen(field: ReliefField, device: str) -> Any:
    """Rays past a flat relief, all samples kept; kernels on the CPU, torch elsewhere."""
    edge, c = 16, field.config
    near = torch.full((1, edge, edge), 6.7, dtype=torch.float64)
    shift, away = torch.zeros(1, edge, edge, 3, dtype=torch.float64), torch.tensor([[0.0, 0.0, -7.0]]).double()
    far, jaw = near + 0.6, torch.eye(3, 4)[None].double()
    far[:, 4:8] = near[:, 4:8]  # between the lips
    maps = (x.to(device) for x in (torch.eye(3)[None].double(), away, shift, near, far))
    views = Views(50.0, (8.0, 8.0), *maps, 0.0, jaw.to(device), torch.zeros(1, 2, device=device))
    at = (torch.arange(2.0, 14.0)[None] + 0.5).to(device)
    code = torch.ones(1, c.directions + c.codes, device=device)
    keep = torch.ones(at.shape, dtype=torch.bool, device=device)
    with torch.no_grad():
        return field.render(views, torch.zeros(1, dtype=torch.int64, device=device), at, at, code, keep=keep)


def _graph() -> GraphNet:
    return GraphNet(parse(small_model())).eval()


#: name -> how a small one is made, and what is done with it.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, str], Any]]] = {
    "wav2lip": (lambda: Wav2LipGenerator(1 / 64, gated=True), _called((1, 1, 80, 16), (1, 6, 96, 96))),
    "expert": (lambda: SyncExpert(1 / 64), _called((1, 1, 80, 16), (1, 15, 48, 96))),
    "critic": (lambda: QualityDiscriminator(1 / 64), _called((1, 3, 96, 96))),
    "makeittalk content": (lambda: ContentBranch(1 / 16), _called((2, 18, 80), (1, 204))),
    "makeittalk speaker": (lambda: SpeakerBranch(1, 16), _called((3, 18, 80), (3, 256))),
    "makeittalk voice": (AutoVC, _called((1, 16, 80), (1, 256), (1, 16, 257), (1, 256))),
    "makeittalk image": (lambda: ImageTranslator(1), _called((1, 6, 256, 256))),
    "pc-avs": (SMALL_LAYOUT.networks, _talking_face),
    "speech2vid": (lambda: Speech2VidNet(0.06), _called((1, 1, 12, 35), (1, 15, 112, 112))),
    "speech2vid deblur": (lambda: DeblurNet(0.1), _called((1, 3, 32, 32))),
    "deepspeech": (lambda: DeepSpeech(8), _called((4, INPUT))),
    "ad-nerf audio": (AudioCodes, _windows),
    "phones": (lambda: PhoneNet(8), lambda net, _: net.rows(sound(10))),
    "articulation": (lambda: Articulator(8), lambda net, _: net.articulate(sound(10), 10)),
    "sync": (
        small_net,
        lambda net, d: net.folded(d).lip(np.repeat(FRAME[:1, :1], 7 * SIZE * SIZE, 0).reshape(7, SIZE, SIZE, 3)),
    ),
    "landmark sync": (lambda: LandmarkSync(8), lambda net, _: net.expected(net.embed(*_talk())[1])),
    "lpips": (lambda: Lpips("alex"), lambda net, d: net.to_device(d)(FRAME)[0]),
    "dists": (Dists, lambda net, _: net(FRAME)),
    "dlib": (DlibResnet, lambda net, _: dlib_resnet.embed(net, np.resize(FRAME, (150, 150, 3)))),
    "inception": (Inception, lambda net, _: inception.features(net, FRAME[None])),
    "voice activity": (VoiceActivity, _called((3000,))),
    "demo face": (lambda: DemoFace(4), lambda net, d: net.read(torch.zeros(1, 3, 96, 96, device=d))),
    "mediapipe": (_graph, _called((2, 2, 2, 1))),
    "s3fd": (S3FD, lambda net, _: [astuple(box) for box in net.detect(FRAME[None], scale=1.0, threshold=0.2)[0]]),
    "bisenet": (BiSeNet, _called((1, 3, 64, 64))),
    "celebamask": (CelebAMaskUNet, _called((1, 3, 32, 32))),
    "gated inpainter": (lambda: GatedGenerator(4), _called((1, 5, 64, 64), (1, 1, 64, 64))),
    "field mlp": (lambda: _field("paper", "mlp", width=16, coarse=8, fine=8), _rendered),
    "field mlp, plain": (lambda: _field("paper", "mlp", width=16, coarse=8, fine=8, fused=False), _rendered),
    "field triplane": (lambda: _field("demo", "triplane", width=16, resolutions=(8,)), _rendered),
    "field relief": (_relief, _seen),
}


def _talk() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 12)).astype(np.float32), rng.normal(size=(120, 40)).astype(np.float32)


def _plain(found: Any) -> list[Any]:
    """Every array in an answer, brought to the CPU."""
    if isinstance(found, Tensor):
        return [found.detach().cpu().double().numpy()]
    if isinstance(found, (list, tuple)):
        return [array for each in found for array in _plain(each)]
    return [np.asarray(found, np.float64)]


def _made(name: str) -> nn.Module:
    return _seeded(NETWORKS[name][0])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_on_a_device_what_it_answers_on_the_cpu(name: str) -> None:
    use = NETWORKS[name][1]
    expected = _plain(use(_made(name), "cpu"))
    with fake_device.card() as device:
        found = _plain(use(_made(name).to(device), device))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def _modules() -> dict[str, type[nn.Module]]:
    """Every class of a network that the package defines."""
    found: dict[str, type[nn.Module]] = {}
    for info in pkgutil.walk_packages(lipbench.__path__, "lipbench."):
        if info.name.startswith(("lipbench.cli", "lipbench.__main__", "lipbench.synthetic", "lipbench.reports")):
            continue
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == info.name:
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def test_every_network_stands_here_or_is_part_of_one() -> None:
    used = {kind for name in NETWORKS for module in _made(name).modules() for kind in type(module).__mro__}
    missing = sorted(name for name, kind in _modules().items() if kind not in used)
    assert not missing, "give these networks a line in NETWORKS"


def test_a_face_is_looked_for_on_a_device() -> None:
    with fake_device.card() as device:
        net = DemoFace(4).to(device).eval()
        nn.init.constant_(net.finder[-1].bias, 3.0)  # a face everywhere
        nn.init.constant_(net.reader[-1].bias, 0.5)
        assert landmarks(net, [np.full((64, 64, 3), 90, np.uint8)]).shape == (1, 68, 2)


@pytest.mark.parametrize(("name", "net"), [("bisenet", BiSeNet), ("celebamask", CelebAMaskUNet)])
def test_a_parser_with_weights_works_on_a_device(
    name: str, net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_parser, "SIDE", 64)
    torch.save(net().state_dict(), tmp_path / "weights.pth")
    with fake_device.card() as device:
        found = parser(name, file=tmp_path / "weights.pth", device=device).parse(np.stack([FRAME, FRAME]))
    assert found.labels.shape == (2, 40, 48)


def test_the_gated_inpainter_works_on_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gated_inpainter, "SIDE", 32)
    torch.save(GatedGenerator(4).state_dict(), tmp_path / "weights.pth")
    hole = np.zeros(FRAME.shape[:2], bool)
    hole[10:20, 10:20] = True
    with fake_device.card() as device:
        filled = gated_inpainter.GatedInpainter(tmp_path / "weights.pth", device).fill(0, FRAME, hole, ~hole)
    assert np.array_equal(filled[~hole], FRAME[~hole])
    assert not np.array_equal(filled[hole], FRAME[hole])


# -- metrics ----------------------------------------------------------------------------------------------------------


def _frames(folder: Path) -> dict[str, Any]:
    frames = image(2)
    track = face_track(2, box=(50, 30, 110, 95))
    return {
        "prediction": clip(folder / "a.mp4", 2, frames=frames // 2),
        "reference": clip(folder / "b.mp4", 2, frames=frames),
        "faces": track.save(folder / "faces.npz"),
    }


class _MeanColor(nn.Module):
    """In place of I3D, whose file nobody may pass on: colors, through a layer that lies on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3, bias=False)

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        return self.layer(x.mean(dim=(2, 3, 4)))


def _pieces(folder: Path) -> dict[str, Any]:
    frames = image(34)
    made = {"prediction": frames // 2, "reference": frames}
    videos = {name: clip(folder / f"{name}.mp4", 34, frames=value) for name, value in made.items()}
    return {**videos, "options": {"model": "i3d.pt", "trust": True}}


def _two_faces(folder: Path) -> dict[str, Any]:
    points = np.random.default_rng(0).uniform((50, 30), (110, 95), (68, 2)).astype(np.float32)
    track = replace(face_track(2, box=(50, 30, 110, 95)), landmarks=np.stack([points, points]))
    faces = track.save(folder / "marked.npz")
    return {**_frames(folder), "faces": faces, "prediction_faces": faces}


def _speaking(folder: Path) -> dict[str, Any]:
    return {
        "prediction": clip(folder / "a.mp4", 40, audio=sound(40)),
        "faces": face_track(40).save(folder / "faces.npz"),
        "options": {"sync_model": "small", **RULES},
    }


#: Families that compute on a device -> what they measure.
FAMILIES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "lpips": _frames,
    "lpips-vgg": _frames,
    "lpips-native": _frames,
    "dists": _frames,
    "fid": _frames,
    "fvd": _pieces,
    "identity-dlib": _two_faces,
    "sync": _speaking,
}


def test_every_metric_that_computes_on_a_device_stands_here() -> None:
    families = {name: registry.load("metrics", name) for name in registry.sources("metrics")}
    own = {name for name, family in families.items() if type(family).__module__.startswith("lipbench.")}
    assert {name for name in own if families[name].uses_gpu({})} == set(FAMILIES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of the networks behind the metrics, by their registered names."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "dists").mkdir()
    for name, net in (("alexnet", "alex"), ("vgg16", "vgg")):
        trunk = {f"features.{i}.{k}": v for i, layer in enumerate(layers(net)) for k, v in layer.state_dict().items()}  # type: ignore[arg-type]
        torch.save(trunk, folder / f"{name}.pth")
    torch.save({name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}, folder / "dists" / "weights.pt")
    small = small_net().save(folder / "small.npz", half=False)
    trunks = {name: folder / f"{name}.pth" for name in ("alexnet", "vgg16")}
    return {**trunks, "dists": folder / "dists", "small_w": small}


def _seeded(net: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return net().eval()


@pytest.fixture
def installed(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The random weights as if they were the pinned ones, and a sync model called "small"."""
    monkeypatch.setattr(weights, "path", lambda name: files[name])
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32)
    monkeypatch.setattr(video_features, "load", lambda file, device, trust: _seeded(_MeanColor).to(device))
    for module, net in ((inception, Inception), (dlib_resnet, DlibResnet)):
        monkeypatch.setattr(module, "load", lambda device, net=net: _seeded(net).to(device))
    monkeypatch.setattr(models, "BUILTIN", (*models.BUILTIN, SyncModel("small", "small_w", 0.1, SIZE, False, "test")))
    caches = (models.sync_models, models._load, lpips._load, dists._load)
    for kept in caches:
        kept.cache_clear()
    yield
    for kept in caches:
        kept.cache_clear()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_metric_scores_on_a_device(name: str, tmp_path: Path) -> None:
    fields = ("prediction", "reference", "truth", "audio", "faces", "prediction_faces", "truth_annotations")
    given = {**dict.fromkeys(fields), **FAMILIES[name](tmp_path), "faces_reason": "", "fps": 25.0, "work": tmp_path}
    family = registry.load("metrics", name)
    expected = family.score(Pair(**given))
    with fake_device.card() as device:
        found = family.score(Pair(**given, device=device))
    measured = [key for key, score in expected.items() if score.value is not None]
    assert measured
    for key in measured:
        assert found[key].value == pytest.approx(expected[key].value, rel=1e-4, abs=1e-6)
