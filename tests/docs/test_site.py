"""The parts of the documentation's build: generated references, links between pages, loads from other hosts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, Field

from lipbench.cli import COMMANDS
from lipbench.core.code.scan import stub_homes
from lipbench.engine.config import RunFile
from tools import docs_reference, docs_site

ROOT = Path(__file__).parents[2]
API = sorted((ROOT / "docs" / "api").glob("*.md"))


class Part(BaseModel):
    """A part."""

    size: float = Field(gt=0, description="In px.")


class Whole(BaseModel):
    names: list[str] = []
    part: Part | None = Field(None, description="One | or none.")


def test_a_format_page_has_every_field_with_type_default_and_meaning():
    page = docs_reference.format_page("Whole", "Lead.", Whole.model_json_schema())
    assert "| `names` | list of text | `[]` |  |" in page
    assert "| `part` | [Part](#part) or null | `null` | One \\| or none. |" in page
    assert "## Part\n\nA part." in page
    assert "| `size` | number, more than 0 | required | In px. |" in page


def test_long_lists_of_values_stand_once_below_the_tables():
    values = {"enum": [str(k) for k in range(20)], "type": "string"}
    page = docs_reference.format_page("X", "", {"properties": {"a": values, "b": {"anyOf": [values]}}})
    assert page.count("`19`") == 1
    assert "## Values of `a`" in page


def test_the_generated_pages_name_every_field_and_command():
    pages = docs_reference.pages()
    fields = [info.alias or name for name, info in RunFile.model_fields.items()]
    assert all(f"| `{name}` |" in pages["reference/run-file.md"] for name in fields)
    assert all(f"\n## lipbench {name}\n" in pages["reference/cli.md"] for name in COMMANDS)
    assert "\n### lipbench data add\n" in pages["reference/cli.md"]


def test_names_of_pages_become_links():
    titles = {"gate.md": "The gate", "contributing.md": "Contributing"}
    assert docs_site.linked("see `docs/gate.md`.", titles, "index.md") == "see [The gate](gate.md)."
    assert docs_site.linked("`gate.md`", titles, "api/runs.md") == "[The gate](../gate.md)"
    assert docs_site.linked("`CONTRIBUTING.md`", titles, "index.md") == "[Contributing](contributing.md)"
    assert docs_site.linked("`docs/none.md` gate.md", titles, "index.md") == "`docs/none.md` gate.md"


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://a.example/x.js"></script>',
        '<link rel="preconnect" href="//a.example">',
        '<img src="http://a.example/x.png">',
        '<style>@import "https://a.example/x.css"</style>',
    ],
)
def test_loads_from_other_hosts_are_seen(text):
    assert len(docs_site.loads_elsewhere(text, "html")) == 1


def test_links_and_own_files_are_no_loads():
    text = (
        '<a href="https://a.example">x</a><script src="x.js"></script><link rel="canonical" href="https://a.example">'
    )
    assert docs_site.loads_elsewhere(text, "html") == []
    assert docs_site.loads_elsewhere("a { background: url(x.png) }", "css") == []
    assert docs_site.loads_elsewhere("a { background: url('//a.example/x.png') }", "css") == ["//a.example/x.png"]


def nav(entry):
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in nav(part)]


def test_the_navigation_has_every_page_once():
    listed = nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    written = [p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted([*written, *docs_reference.pages(), *docs_site.COPIED])


def modules(name):
    """The files of a module and, for a package, of those that its `__init__` names."""
    path = ROOT / name.replace(".", "/")
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def test_what_the_reference_shows_loads_when_it_is_named():
    """`import lipbench; lipbench.nerf.scene`: every step of a name stands in the stub of the package before it."""
    names = [n for page in API for n in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)]
    assert len(names) > 40
    for name in names:
        package, *steps = name.split(".")
        for step in steps:
            stub = ROOT.joinpath(*package.split("."), "__init__.pyi")
            assert not stub.is_file() or step in stub_homes(stub.read_text(encoding="utf-8"), package), name
            package += f".{step}"


def shown():
    """The files behind the pages of the Python reference."""
    for page in API:
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            while not (ROOT / name.replace(".", "/")).is_dir() and not modules(name)[0].is_file():
                name = name.rpartition(".")[0]
            yield from modules(name)


SECTION = re.compile(r"^(Args|Attributes):\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
FOLDERS = sorted({path.parent for path in (ROOT / "lipbench").rglob("*.py")})


def names_of(node):
    """The parameters of a function, or the fields of a class and the parameters of its constructor."""
    functions = [node]
    found = set()
    if isinstance(node, ast.ClassDef):
        functions = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name in ("__init__", "__call__")]
        found = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    for function in functions:
        a = function.args
        named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x is not None)]
        found |= {argument.arg for argument in named}
    return found


def faults(source):
    """Lines of docstrings that do not name one argument each, or name none."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        doc, names = ast.get_docstring(node) or "", names_of(node)
        for kind, section in SECTION.findall(doc):
            for line in re.findall(r"^ {4}(\S.*)", section, re.MULTILINE):
                name = re.match(r"\*{0,2}(\w+)( \(.+?\))?: ", line)
                if name is None or (kind == "Args" and names and name[1] not in names):
                    yield f"{node.name}: {line}"
            for inside in re.findall(r"(?<=[.;,)] )(\w+)(?=: )", re.sub(r"([`\"]).*?\1", "", section)):
                if inside in names:
                    yield f"{node.name}: {inside} stands in the line of another"
        for listed in re.findall(r"(?:^|(?<=[.;] )|(?<=\n))((?:\w+, )*\w+): ", SECTION.sub("", doc)):
            if set(listed.split(", ")) <= names:
                yield f"{node.name}: {listed} stands outside of a section"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_name_one_argument_a_line(folder):
    """Readers of Google's style take `a, b: ...` for one strange name, and the second of `a: x. b: y.` for text."""
    found = [f"{path.name}: {fault}" for path in sorted(folder.glob("*.py")) for fault in faults(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("doc", "fault"),
    [
        ("Does.\n\n    Args:\n        a: x.\n        b: y, in px.\n    ", ""),
        ("Does.\n\n    Args:\n        a, b: x.\n    ", "f: a, b: x."),
        ("Does.\n\n    Args:\n        a: x. b: y.\n    ", "f: b stands in the line of another"),
        ("Does.\n\n    Args:\n        a: x; b: y.\n    ", "f: b stands in the line of another"),
        ("Does.\n\n    Args:\n        c: x.\n    ", "f: c: x."),
        ("Does. a: x.", "f: a stands outside of a section"),
        ("Does.\n\n    a, b: x.\n    ", "f: a, b stands outside of a section"),
    ],
)
def test_a_line_with_two_arguments_is_seen(doc, fault):
    found = list(faults(f'def f(a, b):\n    """{doc}"""\n'))
    assert found[:1] == [fault] * bool(fault)


@pytest.mark.parametrize("path", sorted(set(shown())), ids=lambda path: path.relative_to(ROOT / "lipbench").as_posix())
def test_examples_are_a_section_that_the_site_knows(path):
    """Google's style calls it `Examples:`; under another name the prompts turn into a quotation."""
    assert not re.search(r"^ +Example:$", path.read_text(encoding="utf-8"), re.MULTILINE)
