"""The code in keys: what changes a hash, what is followed, what is remembered."""

from __future__ import annotations

import ast
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import lipbench
from lipbench.core import registry
from lipbench.core.code import Sources, closure
from lipbench.core.code.cache import FileCache
from lipbench.core.code.scan import scan
from lipbench.core.code.syntax import syntax_hash
from lipbench.core.errors import UsageError

NUMBERS = itertools.count()


def hash_of(source: str) -> str:
    return syntax_hash(ast.parse(source).body)


# ---- syntax ----------------------------------------------------------------------------------------------------

CODE = 'def f(a, b=1):\n    """Adds."""\n    return a + b\n'


@pytest.mark.parametrize(
    "same",
    [
        'def f(a, b=1):\n    """Sums up, since\n    today."""\n    return a + b\n',
        "def f(a, b=1):\n    # adds\n    return a + b  # both\n",
        "def f(\n    a,\n    b = 0x1,\n):\n\n    return (a\n        + b)",
        'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x\ndef f(a, b=1): "Adds."; return a + b',
    ],
)
def test_words_and_layout_do_not_change_a_hash(same):
    if same.startswith("from"):
        assert hash_of(same) == hash_of("from typing import TYPE_CHECKING\n" + CODE)
    else:
        assert hash_of(same) == hash_of(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a + b", "a - b"),
        ("b=1", "b=2"),
        ("b=1", "b=1.0"),
        ("b=1", "b=True"),
        ("b=1", "b='1'"),
        ("b=1", "b=b'1'"),
        ("b=1", "*, b=1"),
        ("a, b", "a, /, b"),
        ("a + b", "f'{a}{b}'"),
        ("return a", "yield a"),
        ("def f", "async def f"),
        ("def f", "@cache\ndef f"),
        ("return", "'Adds.'; a = 2; return"),
    ],
)
def test_a_change_of_meaning_changes_the_hash(before, after):
    assert hash_of(CODE) != hash_of(CODE.replace(before, after, 1))


def test_text_around_fields_of_an_f_string_counts():
    sources = ["f'a{x}b'", "f'ab{x}'", "f'{x}ab'", "f'a{x!r}b'", "f'a{x:>3}b'", "f'a{x:>4}b'", "f'a{y}b'"]
    assert len({hash_of(f"z = {source}") for source in sources}) == len(sources)
    assert hash_of("z = f'a{x}' 'b'") == hash_of("z = f'a{x}b'")


#: Something of every kind that Python versions write differently in their trees.
SAMPLE = '''
from __future__ import annotations
import a.b as c
from . import d
@c.e(1, *f, key=None, **g)
class H(I, metaclass=J):
    """Text."""
    k: int = 3
    async def l(self, m, /, n=-1.5e300, *o: int, p, q=..., **r) -> list[int]:
        async with m as s, n:
            return await s[1:2, ::3]
t = [u for v in range(9) if v if not u] + [{**w, 'ü\\u0378\\U0001fae8': 1j, b'\\xff': True}]
x = lambda y, *z: (y := 1_000_000_000_000_000_000_000) if y <= 2 < 3 else z
match t:
    case {"a": [1, *_], **rest} | H(k=-2) if rest: pass
    case None | True: ...
try:
    raise x from None
except (A, B) as error:
    del error, t[0]
print(f"{x!r:>{10}} {x=} {'a' 'b'} {x:%Y-%m}" u"c" f"{{}}", end='')
'''
FROZEN = "e3148f3b94795c922aa67d077f77b9d08efe5dadfb9ae7801856326950a866fd"


def test_a_hash_is_the_same_on_every_python():
    """The value was found on Python 3.10, 3.11, 3.12 and 3.13."""
    assert hash_of(SAMPLE) == FROZEN


# ---- closures --------------------------------------------------------------------------------------------------


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
    package.write("inner/c.py", "def f():\n    from ... import nothing\n    from PKG import a\nx = 1\n")
    assert package.modules("a") == package.modules("b") == {"", "a", "b", "inner", "inner.c"}
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


def test_a_data_file_that_the_code_names_counts(package):
    package.write("a.py", "FILE = Path(__file__).with_name('table.json')\nMORE = 'data/more.npz'\n")
    assert package.modules("a") == {"", "a"}
    package.write("table.json", "[1]")
    package.write("data/more.npz", "x")
    before = package.digest("a")
    assert package.modules("a") == {"", "a", "table.json", "data/more.npz"}
    package.write("table.json", "[2]")
    assert package.digest("a") != before


def test_lipbench_is_followed_from_a_plug_in_and_nothing_else(package):
    package.write(
        "a.py", "import json, numpy\nfrom lipbench.metrics.arrays import Frame\nfrom lipbench.core import errors"
    )
    modules = set(package.code("a").modules)
    assert "lipbench.metrics.arrays" in modules
    assert not {"lipbench", "lipbench.core.errors", "json", "numpy"} & modules


PARTS = """
from PKG import shared, other
LIMIT = 3
TABLE = {}
TABLE["x"] = 1
def used(): return LIMIT
def stage(task): return used(), shared.f()
def neighbour(): return other.f()
class Stages(BaseMethod):
    SIZE = 4
    def __init__(self): self.n = LIMIT
    def fit(self): return self._step()
    def _step(self): return getattr(self, "_named")()
    def _named(self): return shared.f()
    def synthesize(self): return neighbour()
class Derived(Stages):
    def fit(self): return super().fit()
"""


def test_a_part_of_a_module_is_what_it_uses_of_it(package):
    package.write("a.py", PARTS)
    package.write("shared.py", "def f(): return 1")
    package.write("other.py", "def f(): return 1")
    assert package.modules("a:stage") == {"", "a:stage", "shared"}
    assert package.modules("a:neighbour") == {"", "a:neighbour", "other"}
    assert package.modules("a:Stages.fit") == {"", "a:Stages.fit", "shared"}
    assert package.modules("a:Stages.synthesize") == {"", "a:Stages.synthesize", "other"}
    # Stages.fit may call any method of Derived.
    assert package.modules("a:Derived.fit") == {"", "a:Derived.fit", "shared", "other"}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("LIMIT = 3", "LIMIT = 4", "stage fit synthesize"),
        ('TABLE["x"] = 1', 'TABLE["x"] = 2', "stage neighbour fit synthesize"),
        ("SIZE = 4", "SIZE = 5", "fit synthesize"),
        ("return used()", "return 1, used()", "stage"),
        ("return other.f()", "return 1", "neighbour synthesize"),
        ("return self._step()", "return 1 + self._step()", "fit"),
        ('getattr(self, "_named")()', 'getattr(self, "_named")(1)', "fit"),
        ("return neighbour()", "return neighbour", "synthesize"),
        ("import shared, other", "import other, shared", ""),
    ],
)
def test_an_edit_changes_the_parts_that_use_it(package, before, after, changed):
    roots = {"stage": "a:stage", "neighbour": "a:neighbour", "fit": "a:Stages.fit", "synthesize": "a:Stages.synthesize"}
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


# ---- the cache -------------------------------------------------------------------------------------------------


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file count as one that has not changed for long."""
    monkeypatch.setattr("lipbench.core.code.cache._SETTLED_NS", -(10**18))


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    settle(monkeypatch)
    file, kept = tmp_path / "a", tmp_path / "cache" / "code.json"
    file.write_text("one")
    first = FileCache(kept, "1")
    assert first.get(str(file), "n", len) == 3
    first.save()
    second = FileCache(kept, "1")
    assert second.get(str(file), "n", lambda data: pytest.fail("read again")) == 3
    assert FileCache(kept, "2").get(str(file), "n", lambda data: -1) == -1  # by other code
    file.write_text("three")
    assert second.get(str(file), "n", len) == 5


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    file = tmp_path / "a"
    cache = FileCache(None, "1")
    for text in ("1", "2"):  # the same size, and perhaps the same time
        file.write_text(text)
        assert cache.get(str(file), "n", bytes.decode) == text


@pytest.mark.parametrize("content", ["", "[]", '{"version": "1"}', '{"version": "1", "entries": 3}'])
def test_a_spoilt_cache_is_written_anew(tmp_path, content, monkeypatch):
    settle(monkeypatch)
    file, kept = tmp_path / "a", tmp_path / "code.json"
    file.write_text("one")
    kept.write_text(content)
    cache = FileCache(kept, "1")
    assert cache.get(str(file), "n", len) == 3
    cache.save()
    assert json.loads(kept.read_text())["entries"]


def test_without_a_cache_folder_the_answer_is_the_same(package, monkeypatch, tmp_path):
    package.write("a.py", "x = 1")
    before = package.digest("a")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    settle(monkeypatch)
    assert package.digest("a") == before


def test_entries_of_files_that_are_gone_are_dropped(tmp_path, monkeypatch):
    settle(monkeypatch)
    kept = tmp_path / "code.json"
    cache = FileCache(kept, "1")
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        cache.get(str(tmp_path / name), "n", len)
    (tmp_path / "a").unlink()
    cache.save()
    assert [key.partition("\n")[0] for key in json.loads(kept.read_text())["entries"]] == [str(tmp_path / "b")]


# ---- lipbench itself -------------------------------------------------------------------------------------------

ROOT = Path(lipbench.__file__).parent


def test_lazy_packages_tell_type_checkers_the_same_homes():
    """Closures read the names for type checkers; what runs is the table."""
    seen = 0
    for file in ROOT.rglob("__init__.py"):
        text, package = file.read_text(), ".".join(("lipbench", *file.parent.relative_to(ROOT).parts))
        tables = [
            ast.literal_eval(s.value)
            for s in ast.parse(text).body
            if isinstance(s, ast.Assign) and getattr(s.targets[0], "id", "") == "_HOMES"
        ]
        for table in tables:
            seen += 1
            homes = {name: f"{package}.{home}.{name}" for name, home in table.items()}
            assert scan(text, package, True).homes == homes
    assert seen >= 5 or not tuple(ROOT.rglob("lazy.py"))


def test_no_code_behind_a_number_imports_by_a_computed_name():
    sources = Sources()
    roots = [
        *(type(registry.load("metrics", name)).__module__ for name in registry.BUILTINS["metrics"]),
        *(type(registry.load("methods", name)).__module__ for name in registry.BUILTINS["methods"]),
    ]
    computed = set()
    for module in sources.code(*roots).modules:
        place = sources._places.find(module)
        for node in ast.walk(ast.parse(Path(place.file).read_text())) if place else ():
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if name in ("import_module", "__import__") and not isinstance(node.args[0], ast.Constant):
                computed.add(module)
    # The package's own lazy names, whose homes are told; and a program that runs in another environment.
    assert computed <= {"lipbench.metrics", "lipbench.baselines.external.shim"}


@pytest.mark.parametrize("name", sorted(closure.NEVER))
def test_what_is_left_out_exists(name):
    assert Sources()._places.find(name) is not None
