"""Closures: which modules and files the code of a stage leads to."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

import lipbench
from lipbench.core import registry
from lipbench.core.code import Sources, closure
from lipbench.core.code.narrow import bound_names
from lipbench.core.code.scan import stub_homes
from lipbench.core.errors import UsageError

NUMBERS = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package on the path, of a name of its own: `write(file, text)`, `modules(root)` without its name, `digest`."""
    name = f"code_under_test_{next(NUMBERS)}"
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(file: str, text: str) -> None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text.replace("PKG", name))

    def code(root: str) -> closure.Code:
        return Sources().code(f"{name}.{root}")

    write("__init__.py", "")

    def modules(root: str) -> set[str]:
        return {n.removeprefix(name)[1:] for n in code(root).modules}

    return SimpleNamespace(
        name=name, folder=folder, write=write, modules=modules, digest=lambda root: code(root).digest, code=code
    )


@pytest.mark.parametrize(
    "imports",
    [
        "from PKG import b",
        "from PKG.b import f",
        "from PKG.b import *",
        "from .b import f",
        "from . import b",
        "import PKG.b",
        "import PKG.b as other",
        "import PKG\ndef g():\n    return PKG.b.f()",
        "def g():\n    from PKG.b import f",
        "if True:\n    try:\n        from PKG.b import f\n    except ImportError:\n        pass",
        "import importlib\nb = importlib.import_module('PKG.b')",
        "from importlib import import_module\nb = import_module('.b', __package__)",
        "PROGRAM = ['python', '-m', 'PKG.b']",
        "from pathlib import Path\nPROGRAM = Path(__file__).with_name('b.py')",
    ],
)
def test_every_form_of_import_is_followed(package, imports):
    package.write("a.py", imports)
    package.write("b.py", "def f(): return 1\n")
    package.write("unused.py", "")
    before = package.digest("a")
    assert package.modules("a") == {"", "a", "b"}
    package.write("b.py", "def f(): return 2\n")
    assert package.digest("a") != before


def test_imports_for_type_checkers_are_not_followed(package):
    package.write("a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PKG import b\n")
    package.write("b.py", "")
    assert package.modules("a") == {"", "a"}


def test_what_imports_import_counts_and_circles_end(package):
    package.write("a.py", "from PKG import b")
    package.write("b.py", "from PKG.inner.c import x")
    package.write("inner/__init__.py", "")
    package.write("inner/c.py", "def f():\n    from ..d import y\n    from PKG import a\nx = 1\n")
    package.write("d.py", "y = 1")
    assert package.modules("a") == package.modules("b") == {"", "a", "b", "d", "inner", "inner.c"}
    before = package.digest("a")
    package.write("inner/__init__.py", "SEED = 3\n")
    assert package.digest("a") != before


def test_a_lazy_package_leads_to_the_module_of_the_name_alone(package):
    package.write(
        "lazy/__init__.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PKG.lazy.one import One as One\n"
        "    from .two import Two as Two\ndef __getattr__(name): ...\n",
    )
    package.write("lazy/one.py", "class One: pass")
    package.write("lazy/two.py", "class Two: pass")
    package.write("a.py", "from PKG.lazy import One")
    package.write("b.py", "from PKG import lazy\nlazy.Two()")
    package.write("c.py", "from PKG.lazy import Three")
    assert package.modules("a") == {"", "a", "lazy", "lazy.one"}
    assert package.modules("b") == {"", "b", "lazy", "lazy.two"}
    # Nobody says where Three comes from: it may be anywhere beside.
    assert package.modules("c") == {"", "c", "lazy", "lazy.one", "lazy.two"}


STUBBED = "import lazy_loader\n__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)\n"


def test_names_of_a_stub_lead_to_their_module_alone(package):
    package.write("lazy/__init__.py", STUBBED)
    package.write(
        "lazy/__init__.pyi", "from . import three as three\nfrom .one import One as One\nfrom .two import Two\n"
    )
    for name in ("One", "Two", "Three"):
        package.write(f"lazy/{name.lower()}.py", f"class {name}: pass")
    package.write("a.py", "from PKG.lazy import One")
    package.write("b.py", "from PKG import lazy\nlazy.Two()")
    package.write("c.py", "from PKG import lazy\nlazy.three.Three()")
    assert package.modules("a") == {"", "a", "lazy", "lazy.one"}
    assert package.modules("b") == {"", "b", "lazy", "lazy.two"}
    assert package.modules("c") == {"", "c", "lazy", "lazy.three"}


def test_a_name_that_moves_changes_the_digests_that_it_belongs_to(package):
    package.write("lazy/__init__.py", STUBBED)
    package.write("lazy/__init__.pyi", "from .one import One\nfrom .two import Two\n")
    package.write("lazy/one.py", "class One: pass\nclass Two: pass")
    package.write("lazy/two.py", "class Two: pass")
    package.write("a.py", "from PKG.lazy import One")
    package.write("b.py", "from PKG.lazy import Two")
    one, two = package.digest("a"), package.digest("b")
    package.write("lazy/__init__.pyi", "from .one import One, Two\n")
    assert package.digest("a") == one
    assert package.digest("b") != two


def test_a_broken_stub_is_named(package):
    package.write("lazy/__init__.py", STUBBED)
    package.write("lazy/__init__.pyi", "from .one import\n")
    package.write("a.py", "from PKG.lazy import One")
    with pytest.raises(UsageError, match=r"__init__\.pyi"):
        package.digest("a")


def test_a_data_file_that_the_code_names_counts(package):
    package.write("a.py", "FILE = Path(__file__).with_name('table.json')\nMORE = 'data/more.npz'\n")
    assert package.modules("a") == {"", "a"}
    package.write("table.json", "[1]")
    package.write("data/more.npz", "x")
    before = package.digest("a")
    assert package.modules("a") == {"", "a", "table.json", "data/more.npz"}
    package.write("table.json", "[2]")
    assert package.digest("a") != before


@pytest.mark.parametrize(
    "path",
    [
        "Path(__file__).parent / 'data' / 'x.npz'",
        "FOLDER / 'data/x.npz'",
        "FOLDER.joinpath('data', 'x.npz')",
        "os.path.join(FOLDER, 'data', 'x.npz')",
        "files('PKG') / 'data' / 'x.npz'",
    ],
)
def test_every_form_of_a_path_to_a_data_file_is_followed(package, path):
    package.write("inner/__init__.py", "")
    home = "a" if "files" not in path else "inner.a"
    package.write(f"{home.replace('.', '/')}.py", f"FILE = {path}\n")
    package.write("data/x.npz", "x")
    before = package.digest(home)
    assert "data/x.npz" in package.modules(home)
    package.write("data/x.npz", "y")
    assert package.digest(home) != before


def test_lipbench_is_followed_from_a_plug_in_and_nothing_else(package):
    package.write(
        "a.py", "import json, numpy\nfrom lipbench.metrics.arrays import Frame\nfrom lipbench.core import errors"
    )
    modules = set(package.code("a").modules)
    assert "lipbench.metrics.arrays" in modules
    assert not {"lipbench", "lipbench.core.errors", "json", "numpy"} & modules


PARTS = """
from PKG import shared, other, third
LIMIT = 3
TABLE = {}
TABLE["x"] = 1
def used(): return LIMIT
def stage(task): return used(), shared.f()
def neighbor(): return other.f()
class Stages(BaseMethod):
    SIZE = 4
    def __init__(self): self.n = LIMIT
    def fit(self): return self._step()
    def _step(self): return getattr(self, "_named")()
    def _named(self): return shared.f()
    def synthesize(self): return neighbor()
class Derived(Stages):
    def fit(self): return super().fit()
    def _step(self): return third.f()
"""


def test_a_part_of_a_module_is_what_it_uses_of_it(package):
    package.write("a.py", PARTS)
    package.write("shared.py", "def f(): return 1")
    package.write("other.py", "def f(): return 1")
    package.write("third.py", "def f(): return 1")
    assert package.modules("a:stage") == {"", "a:stage", "shared"}
    assert package.modules("a:neighbor") == {"", "a:neighbor", "other"}
    assert package.modules("a:Stages.fit") == {"", "a:Stages.fit", "shared"}
    assert package.modules("a:Stages.synthesize") == {"", "a:Stages.synthesize", "other"}
    # Stages.fit may call any method of Derived.
    assert package.modules("a:Derived.fit") == {"", "a:Derived.fit", "shared", "other", "third"}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("LIMIT = 3", "LIMIT = 4", "stage fit synthesize"),
        ('TABLE["x"] = 1', 'TABLE["x"] = 2', "stage neighbor fit synthesize"),
        ("SIZE = 4", "SIZE = 5", "fit synthesize"),
        ("return used()", "return 1, used()", "stage"),
        ("return other.f()", "return 1", "neighbor synthesize"),
        ("return self._step()", "return 1 + self._step()", "fit"),
        ('getattr(self, "_named")()', 'getattr(self, "_named")(1)', "fit"),
        ("return neighbor()", "return neighbor", "synthesize"),
        ("import shared, other, third", "import third, other, shared", ""),
    ],
)
def test_an_edit_changes_the_parts_that_use_it(package, before, after, changed):
    roots = {"stage": "a:stage", "neighbor": "a:neighbor", "fit": "a:Stages.fit", "synthesize": "a:Stages.synthesize"}
    package.write("a.py", PARTS)
    old = {name: package.digest(root) for name, root in roots.items()}
    assert before in PARTS
    package.write("a.py", PARTS.replace(before, after))
    assert {name for name, root in roots.items() if package.digest(root) != old[name]} == set(changed.split())


def test_what_cannot_be_read_is_an_error(package):
    package.write("a.py", "def f(:\n")
    package.write("b.py", "def f(): pass\n")
    with pytest.raises(UsageError, match="cannot read the code of"):
        package.digest("a")
    with pytest.raises(UsageError, match="cannot read the code of"):
        package.digest("b:g")
    with pytest.raises(UsageError, match="cannot find the source of"):
        package.digest("c")


def test_without_a_cache_folder_the_answer_is_the_same(package, monkeypatch, tmp_path):
    package.write("a.py", "x = 1")
    before = package.digest("a")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("lipbench.core.code.cache._SETTLED_NS", -(10**18))
    assert package.digest("a") == before


# ---- lipbench itself -------------------------------------------------------------------------------------------

ROOT = Path(lipbench.__file__).parent


STUBS = sorted(ROOT.rglob("__init__.pyi"))


def test_names_load_lazily_in_many_packages():
    assert len(STUBS) >= 20


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.relative_to(ROOT.parent).as_posix())
def test_every_name_of_a_stub_is_where_it_says(stub):
    """Closures and type checkers follow these names; a user meets them only when he uses one."""
    package = ".".join(stub.parent.relative_to(ROOT.parent).parts)
    assert "lazy_loader.attach_stub(__name__, __file__)" in stub.with_suffix(".py").read_text()
    places = Sources()._places
    for name, home in stub_homes(stub.read_text(), package).items():
        if places.find(home) is not None:
            continue  # a module
        place = places.find(home.rpartition(".")[0])
        assert place is not None, home
        top = ast.parse(Path(place.file).read_text()).body
        assert name in {bound for statement in top for bound in bound_names(statement)}, home


def test_no_code_behind_a_number_imports_by_a_computed_name():
    sources = Sources()
    roots = [
        *(type(registry.load("metrics", name)).__module__ for name in registry.names("metrics")),
        *(type(registry.load("methods", name)).__module__ for name in registry.names("methods")),
    ]
    computed = set()
    for module in sources.code(*roots).modules:
        place = sources._places.find(module)
        for node in ast.walk(ast.parse(Path(place.file).read_text())) if place else ():
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if name in ("import_module", "__import__") and not isinstance(node.args[0], ast.Constant):
                computed.add(module)
    # A program that runs in another environment.
    assert computed <= {"lipbench.baselines.external.shim"}


@pytest.mark.parametrize("name", sorted(closure.NEVER))
def test_what_is_left_out_exists(name):
    assert Sources()._places.find(name) is not None
