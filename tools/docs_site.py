"""Hooks of mkdocs.yml: generated pages, links between pages, and a check that no page loads anything from elsewhere.

The pages in docs/ name each other as on the command line, `docs/metrics.md`; here these names become links.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tools import docs_reference

ROOT = Path(__file__).parents[1]
#: Pages of the site that lie at the top of the repository.
COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md", "examples.md": "examples/README.md"}
#: Attributes whose address a browser fetches by itself; links are only followed.
LOADED = {"src", "srcset", "poster", "data", "background"}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "prefetch", "modulepreload", "manifest"}
ELSEWHERE = re.compile(r"\s*(https?:)?//", re.IGNORECASE)


class Loads(HTMLParser):
    """The addresses on other hosts that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        fetched = tag == "link" and FETCHED_LINKS & set(values.get("rel", "").lower().split())
        addresses = [value for name, value in values.items() if name in LOADED or (name == "href" and fetched)]
        self.found += [address for address in addresses if ELSEWHERE.match(address)]


def loads_elsewhere(text: str, kind: str) -> list[str]:
    """What a page ("html") or a style sheet ("css") loads from other hosts."""
    styles = re.findall(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)", text)
    if kind == "css":
        return styles
    parser = Loads()
    parser.feed(text)
    return parser.found + styles


def title(markdown: str) -> str:
    """A page's first heading without its marks."""
    return re.search(r"^# (.+)$", markdown, re.MULTILINE)[1].replace("`", "")  # type: ignore[index]


def linked(markdown: str, titles: dict[str, str], here: str) -> str:
    """Markdown with the names of pages in backticks as links."""

    def link(match: re.Match[str]) -> str:
        target = {source: page for page, source in COPIED.items()}.get(match[1], match[1].removeprefix("docs/"))
        return f"[{titles[target]}]({'../' * here.count('/')}{target})" if target in titles else match[0]

    return re.sub(r"`((?:docs/|examples/)?[\w-]+\.md)`", link, markdown)


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    made = docs_reference.pages()
    made |= {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIED.items()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    titles = {file.src_uri: title(file.content_string) for file in files.documentation_pages()}
    return linked(markdown, titles, page.file.src_uri)


def on_post_build(config: Any) -> None:
    from mkdocs.exceptions import PluginError

    site = Path(config["site_dir"])
    found = {}
    for kind in ("html", "css"):
        for path in site.rglob(f"*.{kind}"):
            if addresses := loads_elsewhere(path.read_text(encoding="utf-8"), kind):
                found[path.relative_to(site).as_posix()] = addresses
    if found:
        raise PluginError("these pages load from other hosts: " + "; ".join(f"{p}: {a}" for p, a in found.items()))
