"""Registry look-ups and the error tree."""

from __future__ import annotations

import errno
import pickle
import re
import subprocess
import sys

import pytest

from lipbench.core import errors, registry
from lipbench.core.errors import LipbenchError, UnknownName, UsageError


def test_unknown_name_suggests():
    with pytest.raises(UnknownName, match="did you mean dubbed"):
        registry.load("methods", "dubed")


def test_every_builtin_loads():
    for kind in ("methods", "metrics"):
        for name in registry.names(kind):
            found = registry.load(kind, name)
            assert found.spec.id == name if kind == "methods" else found.id == name


def test_two_plugins_of_one_name(monkeypatch):
    class Point:
        name, value = "dubbed", "other:Thing"
        dist = None

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point])
    registry.sources.cache_clear()
    with pytest.raises(UsageError, match="'dubbed'"):
        registry.sources("methods")
    monkeypatch.undo()
    registry.sources.cache_clear()


def test_docstring_draws_the_real_tree():
    drawn = {m[1]: (m[2], m[3]) for m in re.finditer(r"(\w+)\s+exit (\d)\s+(?:reason )?\"(\w+)\"", errors.__doc__)}
    real = {n: c for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, LipbenchError)}
    assert set(drawn) == set(real)
    for name, cls in real.items():
        assert drawn[name] == (str(cls.exit_code), cls.reason), name


def test_errors_survive_pickling():
    error = errors.NoFace("a", "b", "c", reason="face_left")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.what, copy.why, copy.fix, copy.reason) == (errors.NoFace, "a", "b", "c", "face_left")
    assert str(copy) == "a\nb\nc"


def test_disk_full_only_for_a_full_disk():
    assert errors.disk_full(OSError(errno.ENOSPC, "x"), "p").reason == "disk_full"
    with pytest.raises(PermissionError):
        errors.disk_full(PermissionError(errno.EACCES, "x"), "p")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from lipbench.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'cv2', 'av', 'scipy', 'matplotlib', 'numba', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
