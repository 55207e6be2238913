from __future__ import annotations

import importlib
import sys
import types

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import Unsupported, UsageError, WeightsMismatch, WeightsMissing
from lipbench.metrics import lpips, lpips_per_frame, lpips_weights, regions
from lipbench.metrics.functional import lpips as perceptual
from lipbench.metrics.lpips_family import SIDE, LpipsFamily, as_seen

FAMILY = LpipsFamily()


@pytest.fixture(scope="module")
def linear() -> dict[str, torch.Tensor]:
    return torch.load(lpips_weights.linear_file(), map_location="cpu", weights_only=True)


@pytest.fixture
def absent(tmp_path, monkeypatch):
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def plainly(a: np.ndarray, b: np.ndarray, trunk: dict, linear: dict) -> float:
    """LPIPS v0.1, written out in double precision: no modules, one image at a time."""

    def features(image: np.ndarray) -> list[torch.Tensor]:
        x = torch.tensor(image.transpose(2, 0, 1)[None] / 255.0, dtype=torch.float64) * 2 - 1
        for c, (shift, scale) in enumerate([(-0.030, 0.458), (-0.088, 0.448), (-0.188, 0.450)]):
            x[:, c] = (x[:, c] - shift) / scale

        def conv(x, i, **kw):
            return F.relu(
                F.conv2d(x, trunk[f"features.{i}.weight"].double(), trunk[f"features.{i}.bias"].double(), **kw)
            )

        f1 = conv(x, 0, stride=4, padding=2)
        f2 = conv(F.max_pool2d(f1, 3, 2), 3, padding=2)
        f3 = conv(F.max_pool2d(f2, 3, 2), 6, padding=1)
        f4 = conv(f3, 8, padding=1)
        return [f1, f2, f3, f4, conv(f4, 10, padding=1)]

    total = 0.0
    for k, (x, y) in enumerate(zip(features(a), features(b), strict=True)):
        x, y = (f / (f.norm(dim=1, keepdim=True) + 1e-10) for f in (x, y))
        total += float(F.conv2d((x - y) ** 2, linear[f"lin{k}.model.1.weight"].double()).mean())
    return total


@pytest.mark.parametrize("size", [(31, 31), (64, 64), (77, 130), (250, 270)])
def test_is_the_published_arithmetic(size, installed, trunk, linear):
    a, b, c = image(*size), cv2.GaussianBlur(image(*size), (0, 0), 2), image(*size, seed=1)
    near, far = plainly(a, b, trunk, linear), plainly(a, c, trunk, linear)
    assert lpips(b, a) == pytest.approx(near, rel=1e-5)
    assert lpips(c, a) == pytest.approx(far, rel=1e-5)
    assert 0.001 < near < far


@pytest.mark.parametrize("size", [(96, 80), (257, 300)])
def test_is_as_exact_as_direct_convolutions(size, installed, trunk, linear, monkeypatch):
    net = perceptual.load()
    a = image(*size)
    b = cv2.GaussianBlur(a, (0, 0), 1)
    exact = plainly(a, b, trunk, linear)
    quick = lpips(b, a)
    monkeypatch.setattr(net, "quick", [*net.features])
    assert abs(quick - exact) < max(2 * abs(lpips(b, a) - exact), 1e-7)


@pytest.mark.parametrize("size", [(31, 31), (64, 48), (90, 128), (256, 200)])
def test_company_does_not_change_a_picture_to_the_last_bit(size, installed):
    net = perceptual.load()
    pictures = [image(*size, seed) for seed in range(9)]
    alone = [net(picture) for picture in pictures]
    for together in (2, 9):
        for first in range(0, 9, together):
            found = net.features_of(pictures[first : first + together])
            for mine, theirs in zip(found, alone[first:], strict=False):
                assert all(torch.equal(x, y) for x, y in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("size", [(3, 3), (15, 31), (16, 30), (7, 12)])
def test_the_poolings_are_those_of_torch(size):
    x = torch.randn(2, *size, 5).permute(0, 3, 1, 2)
    made = perceptual.Lpips().quick
    assert [made[i] for i in (2, 5)] == [perceptual._halve] * 2
    assert torch.equal(made[2](x), torch.nn.MaxPool2d(3, stride=2)(x))


def test_the_distance_of_features_is_that_in_double_precision(installed):
    net = perceptual.load()
    a, b = net.features_of([image(90, 128), image(90, 128, 1)])
    taps = zip(a, b, net.linear, net.counting, strict=True)
    exact = sum(float(((x.double() - y.double()) ** 2 @ w.double()[kept]).mean()) for x, y, w, kept in taps)
    assert net.distance(a, b) == pytest.approx(exact, rel=2e-7)
    assert net.distance(a, a) == 0


def test_small_pictures_wait_for_more_of_their_size(installed, monkeypatch):
    net = perceptual.load()
    monkeypatch.setattr(perceptual, "BATCH", 3 * 40 * 40)
    seen = []
    features_of = net.features_of
    monkeypatch.setattr(net, "features_of", lambda pictures: seen.append(len(pictures)) or features_of(pictures))
    comparisons = perceptual.Comparisons(net)
    a, b = ([image(40, 40, seed) for seed in range(start, start + 5)] for start in (0, 5))
    found = [comparisons.ask(x, [y, x]) for x, y in zip(a, b, strict=True)]
    large = comparisons.ask(image(200, 200, 1), [image(200, 200, 2)])
    assert seen == [3, 3, 1, 1]  # three pairs of the first size, and the large one at once
    assert [float(one) for _, one in found] == [0.0] * 5
    assert seen == [3, 3, 1, 1]
    values = [float(one) for one, _ in found]
    assert seen == [3, 3, 1, 1, 3, 1]  # the other two
    monkeypatch.undo()
    assert [*values, float(large[0])] == [
        *(perceptual.distances(net, x, [y])[0] for x, y in zip(a, b, strict=True)),
        perceptual.distances(net, image(200, 200, 1), [image(200, 200, 2)])[0],
    ]


def test_other_weights_count_at_once(trunk, linear):
    net = perceptual.Lpips().load(trunk, linear)
    picture = image(257, 300)
    before = net(picture)
    net.load({key: -value for key, value in trunk.items()}, linear)
    assert not torch.equal(net(picture)[1], before[1])
    assert len(net(picture)[4]) == len(before[4])


def test_is_what_the_lpips_package_computes(installed, trunk, monkeypatch):
    """The package itself with its own linear layers; torchvision, which only builds its trunk, is a stub."""

    def alexnet(pretrained):
        layers = perceptual.Lpips().features  # as torchvision has them
        layers.load_state_dict({k.removeprefix("features."): v for k, v in trunk.items() if "features" in k})
        return types.SimpleNamespace(features=layers)

    for name in [n for n in sys.modules if n.split(".")[0] in ("lpips", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    models = types.ModuleType("torchvision.models")
    models.alexnet = alexnet
    torchvision = types.ModuleType("torchvision")
    torchvision.models = models
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    package = importlib.import_module("lpips")
    try:
        net = package.LPIPS(net="alex", version="0.1", verbose=False)
        a, b = image(96, 80), image(96, 80, seed=3)
        tensors = (package.im2tensor(image) for image in (a, b))
        with torch.no_grad():
            want = float(net(*tensors))
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "lpips"]:
            del sys.modules[name]
    assert lpips(a, b) == pytest.approx(want, abs=1e-6)


def test_clips(installed):
    a = np.stack([image(40, 50, s) for s in range(3)])
    b = a.copy()
    b[1:] = [image(40, 50, s) for s in (7, 8)]
    per_frame = lpips_per_frame(b, a)
    assert per_frame.shape == (3,)
    assert per_frame[0] == 0.0
    assert lpips(b, a) == pytest.approx(per_frame.mean())
    assert lpips(b[1], a[1]) == pytest.approx(per_frame[1], rel=1e-6)
    assert lpips(a, b) == pytest.approx(lpips(b, a), rel=1e-5)


def test_one_batch_gives_the_distances_of_each_alone(installed):
    net = perceptual.load()
    p, a, b = (image(64, 64, s) for s in range(3))
    together = perceptual.distances(net, p, [a, p, b])
    assert together[1] == 0.0
    assert together[0] == pytest.approx(perceptual.distances(net, p, [a])[0], rel=1e-5)
    assert together[2] == pytest.approx(perceptual.distances(net, p, [b])[0], rel=1e-5)


def test_refuses(installed, absent):
    with pytest.raises(Unsupported, match="30 x 40"):
        lpips(np.zeros((40, 30, 3), np.uint8), np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(UsageError, match="float"):
        lpips(np.zeros((40, 40, 3)), np.zeros((40, 40, 3)))


def test_without_the_trunk(absent, scene):
    with pytest.raises(WeightsMissing, match="lipbench weights get alexnet"):
        lpips(image(40, 40), image(40, 40, 1))
    video = scene.video("v")
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces=scene.faces()))
    assert len(scores) == 6
    for score in scores.values():
        assert score.value is None
        assert score.reason.startswith("weights_missing: ")
        assert "`lipbench weights get alexnet`" in score.reason
    assert FAMILY.identity({})["trunk"] is None


def test_other_weights_are_refused(trunk, linear):
    with pytest.raises(WeightsMismatch):
        perceptual.Lpips().load({k: v for k, v in trunk.items() if k != "features.8.bias"}, linear)
    with pytest.raises(WeightsMismatch):
        perceptual.Lpips().load(trunk, {k: v for k, v in linear.items() if "lin2" not in k})
    with pytest.raises(WeightsMismatch):
        perceptual.Lpips().load({**trunk, "features.0.weight": torch.zeros(64, 3, 7, 7)}, linear)


def test_linear_layers_are_pinned(tmp_path, monkeypatch):
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(lpips_weights.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsMissing, match=r"alex\.pth"):
        lpips_weights.linear_file()
    file = tmp_path / "weights" / "v0.1" / "alex.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"something else")
    with pytest.raises(WeightsMismatch, match=r"not LPIPS v0\.1"):
        lpips_weights.linear_file()
    monkeypatch.setattr(lpips_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsMissing, match="not installed"):
        lpips_weights.linear_file()
    assert lpips_weights.linear_sha256() is None


def test_the_family_measures_three_regions(installed, scene):
    spoiled = scene.frames.copy()
    for frame in spoiled:
        frame[60:110, 60:130] = cv2.blur(frame[60:110, 60:130], (5, 5))
    prediction, reference, truth = scene.video("p", spoiled), scene.video("r"), scene.video("t", scene.frames // 2)
    scores = FAMILY.score(scene.pair(prediction=prediction, reference=reference, truth=truth, faces=scene.faces()))
    p, boxes = media.load_frames(prediction), regions.from_track(scene.track).boxes
    for against, video in (("", reference), ("_truth", truth)):
        r = media.load_frames(video)
        assert scores["lpips_full" + against].value == pytest.approx(lpips(p, r), rel=1e-4)
        for region, side in (("face", 256), ("mouth", 128)):
            x1, y1, x2, y2 = boxes[region].corners[4]
            crops = [as_seen(v[4, y1:y2, x1:x2], SIDE.get(region)) for v in (p, r)]
            assert max(crops[0].shape) == side
            assert scores[f"lpips_{region}{against}"].per_frame[4] == pytest.approx(lpips(*crops), rel=1e-4)
    assert scores["lpips_mouth"].value > scores["lpips_full"].value


def test_crops_keep_their_ratio():
    assert as_seen(np.zeros((60, 90, 3), np.uint8), SIDE["face"]).shape == (171, 256, 3)
    assert as_seen(np.zeros((600, 300, 3), np.uint8), SIDE["mouth"]).shape == (128, 64, 3)
    assert as_seen(np.zeros((600, 300, 3), np.uint8), None).shape == (600, 300, 3)
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[::2] = 200
    assert np.abs(as_seen(stripes, SIDE["face"]).astype(int) - 100).max() <= 1  # averaged, not skipped


def test_identical_videos_need_no_network(installed, scene, monkeypatch):
    video = scene.video("v")
    monkeypatch.setattr(perceptual.Lpips, "features_of", None)  # not callable
    scores = FAMILY.score(scene.pair(prediction=video, reference=video, faces=scene.faces()))
    assert [scores[f"lpips_{r}"].value for r in ("full", "face", "mouth")] == [0, 0, 0]


def test_frames_too_small_for_the_trunk(installed, scene):
    video, other = scene.video("v", scene.frames[:, :28]), scene.video("w", scene.frames[:, 28:56])
    scores = FAMILY.score(scene.pair(prediction=video, reference=other))
    assert scores["lpips_full"].value is None
    assert "full region is smaller than AlexNet's 31 px" in scores["lpips_full"].reason


def test_specs(installed):
    specs = {m.id: m for m in registry.load("metrics", "lpips").metrics}
    assert set(specs) == {f"lpips_{r}{s}" for r in ("full", "face", "mouth") for s in ("", "_truth")}
    assert {m.better for m in specs.values()} == {"lower"}
    assert specs["lpips_face"].weights == ("alexnet",)
    assert specs["lpips_face"].convention == "lpips[alex,v0.1,rgb,longer side 256,face,vs the undubbed source]"
    identity = FAMILY.identity({})
    assert identity["trunk"] == "ab" * 32
    assert identity["linear"] == lpips_weights.FILES["alex"].linear_sha256
    from lipbench.core.keys import canonical

    canonical(identity)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees(installed):
    a, b = image(200, 300), image(200, 300, 1)
    assert lpips(a, b, device="cuda") == pytest.approx(lpips(a, b), rel=1e-5)
