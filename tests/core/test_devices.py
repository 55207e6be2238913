"""Finding accelerators and choosing a device, on fakes of NVML, of the driver's files and of torch."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from lipbench.core import devices, provenance
from lipbench.core.errors import UsageError

A100, T4 = "NVIDIA A100-SXM4-80GB", "Tesla T4"


class FakeNvml:
    """The five functions of NVIDIA's library, writing through ctypes pointers as it does."""

    def __init__(self, names: list[str], status: int = 0) -> None:
        self.names, self.status, self.open = names, status, 0

    def nvmlInit_v2(self) -> int:
        self.open += self.status == 0
        return self.status

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count) -> int:
        count._obj.value = len(self.names)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle) -> int:
        handle._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetName(self, handle, name, size) -> int:
        name.value = self.names[handle.value - 1].encode()
        return 0


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any card."""
    monkeypatch.setattr(devices, "NVML", ())
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "no-driver")
    monkeypatch.setattr(devices, "SIGNS", (tmp_path / "dxg",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    devices._from_torch.cache_clear()


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: [A100, T4])


def libraries(monkeypatch: pytest.MonkeyPatch, **there: FakeNvml) -> None:
    def load(file: str) -> FakeNvml:
        if file not in there:
            raise OSError(file)
        return there[file]

    monkeypatch.setattr(devices, "NVML", ("first", "wsl"))
    monkeypatch.setattr(devices.ctypes, "CDLL", load)


def torch_sees(monkeypatch: pytest.MonkeyPatch, cuda: int = 0, mps: bool = False) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_a_machine_without_cards_has_none() -> None:
    assert devices.accelerators() == devices.visible() == devices.cards() == []


def test_wsl2_has_no_driver_files_and_its_card_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml([A100])
    libraries(monkeypatch, wsl=nvml)
    assert devices.accelerators() == [A100]
    assert devices.visible() == ["0"]
    assert nvml.open == 0


def test_a_library_without_a_driver_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, first=FakeNvml([T4], status=9), wsl=FakeNvml([A100, T4]))
    assert devices.accelerators() == [A100, T4]


def test_nvml_has_the_last_word_on_a_container_without_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    libraries(monkeypatch, first=FakeNvml([]))
    monkeypatch.setattr(devices, "DRIVER", driver(tmp_path, T4))
    assert devices.accelerators() == []


def driver(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        (folder / "gpus" / f"0000:0{i}").mkdir(parents=True)
        (folder / "gpus" / f"0000:0{i}" / "information").write_text(f"Model: \t\t {name}\nIRQ: 7\n")
    return folder / "gpus"


def test_driver_files_are_read_where_nvml_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "DRIVER", driver(tmp_path, A100, T4))
    assert devices.accelerators() == [A100, T4]


def test_torch_is_asked_when_only_a_device_file_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dxg").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(words: list[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        assert "CUDA_VISIBLE_DEVICES" not in env
        return SimpleNamespace(stdout=f'a warning\n["{T4}"]\n')

    monkeypatch.setattr(subprocess, "run", run)
    assert devices.accelerators() == [T4]


def test_torch_answers_from_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dxg").touch()
    (tmp_path / "torch.py").write_text(
        "class cuda:\n"
        "    device_count = staticmethod(lambda: 2)\n"
        "    get_device_name = staticmethod(lambda i: f'card {i}')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert devices.accelerators() == ["card 0", "card 1"]
    devices._from_torch.cache_clear()
    (tmp_path / "torch.py").write_text("raise OSError('libcuda.so: no such file')")
    assert devices.accelerators() == []


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, ["0", "1"]),
        ("", []),
        ("-1", []),
        ("1", ["1"]),
        ("1, 0", ["1", "0"]),
        ("1,-1,0", ["1"]),
        ("0,2,1", ["0"]),
        ("GPU-8f2,MIG-1", ["GPU-8f2", "MIG-1"]),
        ("0,0", ["0"]),
        ("none", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    told: str | None, words: list[str], two_cards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert devices.visible() == words


@pytest.mark.parametrize("told", ["0", "GPU-8f2"])
def test_a_variable_on_a_machine_without_cards_shows_none(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert devices.visible() == []


@pytest.mark.parametrize(
    ("asked", "handed_out"), [("", ["0", "1"]), ("cuda", ["0", "1"]), ("CUDA:1", ["1"]), ("cpu", []), ("mps", [])]
)
def test_the_variable_decides_which_cards_are_handed_out(
    asked: str, handed_out: list[str], two_cards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(devices.VARIABLE, asked)
    assert devices.cards() == handed_out


def test_a_card_that_is_not_there_is_refused(two_cards: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VARIABLE, "cuda:2")
    with pytest.raises(UsageError, match="cuda:2 is not there"):
        devices.cards()


@pytest.mark.parametrize("word", ["gpu", "cuda:", "mps:0"])
def test_a_device_of_another_name_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VARIABLE, word)
    with pytest.raises(UsageError, match=r"no device.*\n.*LIPBENCH_DEVICE"):
        devices.asked_device()


@pytest.mark.parametrize(
    ("given", "asked", "device"),
    [
        ("cpu", "", "cpu"),
        ("cpu", "auto", "cpu"),
        ("cuda:0", "", "cuda:0"),
        ("cuda:0", "cpu", "cpu"),
        ("cpu", "cuda", "cuda"),
        ("cuda:0", "cuda", "cuda:0"),
        ("cuda:0", "cuda:1", "cuda:0"),
        ("cuda", "cuda:1", "cuda:1"),
        ("cuda", "auto", "cuda"),
        ("cpu", "mps", "mps"),
        ("cuda:0", "mps", "mps"),
    ],
)
def test_the_device_is_what_was_handed_out_unless_the_user_asks(
    given: str, asked: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_sees(monkeypatch, cuda=2, mps=True)
    assert devices.choose_device(given, asked) == device
    monkeypatch.setenv(devices.VARIABLE, asked)
    assert devices.choose_device(given) == device


def test_a_mac_computes_on_its_cpu_until_mps_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_sees(monkeypatch, mps=True)
    assert devices.choose_device("cpu") == "cpu"
    monkeypatch.setenv(devices.VARIABLE, "mps")
    assert devices.choose_device("cpu") == "mps"


@pytest.mark.parametrize(
    ("asked", "why"), [("mps", "Apple silicon"), ("cuda", "no CUDA"), ("cuda:0", "no CUDA"), ("cuda:5", "no CUDA")]
)
def test_a_device_that_torch_lacks_is_refused_never_replaced(
    asked: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_sees(monkeypatch)
    with pytest.raises(UsageError, match=why):
        devices.choose_device("cuda:0", asked)


def test_a_card_number_beyond_what_torch_sees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_sees(monkeypatch, cuda=1)
    with pytest.raises(UsageError, match="1 CUDA device"):
        devices.choose_device("cuda", "cuda:1")


def test_a_card_that_torch_cannot_use_is_told_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_sees(monkeypatch)
    said: list[str] = []
    assert devices.choose_device("cuda:0", "auto", said.append) == "cpu"
    assert "torch cannot use it" in said[0]
    assert devices.choose_device("cpu", "auto", said.append) == "cpu"
    assert len(said) == 1


def test_provenance_names_what_computed(two_cards: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "accelerators", devices.accelerators)
    facts = provenance.provenance.__wrapped__
    assert facts()["gpus"] == [A100, T4]
    monkeypatch.setenv(devices.VARIABLE, "mps")
    assert facts()["gpus"] == ["Apple GPU (MPS)"]
