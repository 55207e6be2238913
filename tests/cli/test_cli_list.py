"""lipbench list."""

from __future__ import annotations

import json
import subprocess
import sys

from click.testing import CliRunner

from lipbench.cli.list import main
from lipbench.core import registry


def call(*args):
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(what):
    return {row["id"]: row for row in json.loads(call(what, "--json"))}


def test_methods_say_what_is_missing():
    found = rows("methods")
    assert set(registry.sources("methods")) <= set(found)
    assert found["dubbed"]["runs here"] == "yes"
    assert found["dubbed"]["kind"] == "control"
    assert found["wav2lip"]["runs here"] == "needs weights: wav2lip"
    assert "non-commercial" in found["wav2lip"]["licence"]
    assert found["precomputed"]["runs here"] == "needs parameter: folder"
    line = next(line for line in call("methods").splitlines() if line.startswith("wav2lip"))
    assert line.rstrip().endswith("needs weights: wav2lip")


def test_methods_say_how_to_get_what_is_missing():
    found = rows("methods")
    assert found["dubbed"]["how"] == []
    assert found["precomputed"]["how"] == ["`-p folder=...`"]
    assert found["wav2lip"]["how"][-1].endswith("then run `lipbench weights add wav2lip FILE`")
    assert len(found["makeittalk"]["how"]) == 5
    assert found["makeittalk"]["how"][0] == "`-p weights=makeittalk-demo` runs with the packaged demo weights"
    assert found["sadtalker"]["runs here"] == "external, not installed"
    (line,) = found["sadtalker"]["how"]
    assert line.startswith("git clone https://github.com/OpenTalker/SadTalker ")
    assert "checkout cd4c046" in line
    shown = call("methods")
    assert "how to get what is missing:" in shown
    assert f"  sadtalker: {line}" in shown
    assert "how" not in shown.splitlines()[0].split()


def test_listing_needs_no_torch():
    code = "import sys; from lipbench.cli.list import _methods; _methods(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_metrics():
    found = rows("metrics")
    assert {"psnr_full", "ssim_mouth", "lpips_full", "lse_d", "lse_c", "av_offset", "mld", "tde_mouth"} <= set(found)
    assert found["psnr_full"]["unit"] == "dB"
    assert found["psnr_full"]["better"] == "higher"
    assert found["lse_d"]["needs"] == "audio, faces"
    assert found["lpips_full"]["runs here"] == "needs weights: alexnet"
    table, _, notes = call("metrics").partition("\n\n")
    assert len(table.splitlines()) == len(found) + 1
    assert "lpips: run `lipbench weights get alexnet`" in notes


def test_datasets_and_sync_models():
    assert "demo" in rows("datasets")
    sync_models = rows("sync-models")
    assert sync_models["syncnet_v2"]["runs here"] == "needs weights: syncnet_v2"
    assert sync_models["landmarks"]["runs here"] == "yes"
    assert "needs weights: syncnet_v2" in call("sync-models")


def test_unknown():
    result = CliRunner().invoke(main, ["method"])
    assert result.exit_code == 2
    assert "methods" in result.stderr
