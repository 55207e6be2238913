"""Add to a YAML file without rewriting it: comments, layout and quoting of the rest stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from yaml import MappingNode, Node, SequenceNode

from lipbench.core import yaml
from lipbench.core.errors import UsageError
from lipbench.datasets.write import to_yaml


def append_entries(text: str, field: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """The text of a YAML mapping with entries added at the end of its list `field`.

    The list keeps its style: block lists get block entries at the same indentation, flow lists get flow entries. The
    caller should parse the result and compare: exotic layouts are not worth guessing at.

    Raises:
        UsageError: the file is one flow mapping, or the field is not a list.
    """
    if not entries:
        return text
    root = yaml.parse(text, "the manifest").root
    if root is None or root.flow_style:
        raise UsageError(
            "cannot add to this file", "it is not a block mapping (one field per line)", "add the entry by hand"
        )
    node = next((value for key, value in root.value if key.value == field), None)
    if node is None:
        return _with_newline(text) + f"{field}:\n" + _block(entries, 2)
    if isinstance(node, SequenceNode) and node.value:
        if node.flow_style:
            at = node.value[-1].end_mark.index
            flow = "".join(", " + json.dumps(entry, ensure_ascii=False) for entry in entries)
            return text[:at] + flow + text[at:]
        text = _with_newline(text)
        return _insert(text, _line_end(text, _end(node)), _block(entries, node.start_mark.column))
    empty = isinstance(node, SequenceNode) or node.tag == "tag:yaml.org,2002:null"
    if not empty:
        raise UsageError(f"cannot add to {field}", "it is not a list", "mend the file first")
    start, end = node.start_mark.index, node.end_mark.index
    text = _with_newline(text[:start].rstrip(" ") + text[end:])
    return _insert(text, _line_end(text, min(start, len(text.rstrip()))), _block(entries, 2))


def set_field(text: str, field: str, i: int, name: str, value: int | float | str) -> str:
    """The text with `name: value` in entry `i` of the list `field`, in place of what the entry says there.

    The caller should parse the result and compare, as for `append_entries`.

    Raises:
        UsageError: there is no such entry.
    """
    root = yaml.parse(text, "the manifest").root
    node = None if root is None else next((value for key, value in root.value if key.value == field), None)
    if not isinstance(node, SequenceNode) or i >= len(node.value) or not isinstance(node.value[i], MappingNode):
        raise UsageError(f"cannot write {name}", f"{field} has no entry {i}", "mend the file first")
    entry, said = node.value[i], json.dumps(value, ensure_ascii=False)
    for key, old in entry.value:
        if key.value == name:
            return text[: old.start_mark.index] + said + text[old.end_mark.index :]
    if entry.flow_style:
        at = entry.value[-1][1].end_mark.index
        return f"{text[:at]}, {name}: {said}{text[at:]}"
    text = _with_newline(text)
    return _insert(text, _line_end(text, _end(entry)), f"{' ' * entry.start_mark.column}{name}: {said}\n")


def _block(entries: Sequence[Mapping[str, Any]], indent: int) -> str:
    lines = to_yaml([dict(entry) for entry in entries]).splitlines()
    return "".join(" " * indent + line + "\n" if line else "\n" for line in lines)


def _end(node: Node) -> int:
    """Where a node's own text ends; a block collection's mark lies behind the comments that follow it."""
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    """Start of the line after `at`; `at` itself when it starts a line (block scalars end there)."""
    if at > 0 and text[at - 1] == "\n":
        return at
    return text.index("\n", at) + 1


def _insert(text: str, at: int, piece: str) -> str:
    return text[:at] + piece + text[at:]


def _with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
