"""Pages of the reference that come out of the code: file formats from their JSON Schemas, commands from click."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

Schema = Mapping[str, Any]

#: JSON Schema's types in plain words.
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}
#: More values than this stand below the table.
FEW = 8


def anchor(name: str) -> str:
    """The anchor that Markdown gives a heading of one word."""
    return name.lower()


def type_of(schema: Schema) -> str:
    """What a value may be, as Markdown: "text or null", "list of [ClipEntry](#clipentry)"."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        shown = [f"`{value}`" for value in schema["enum"]]
        return ", ".join(shown) if len(shown) <= FEW else f"one of {len(shown)} values"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(type_of(one) for one in schema[several]))
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'])}" if schema.get("items") else "list"
    patterns = schema.get("patternProperties", {})
    values = next(iter(patterns.values()), None) or schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        return f"mapping of names to {type_of(values)}"
    return WORDS.get(schema.get("type", ""), "anything")


def limits_of(schema: Schema) -> list[str]:
    """The limits of a number or a list, in words."""
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {}",
    }
    return [text.format(schema[key]) for key, text in words.items() if key in schema]


def cell(text: str) -> str:
    """A text that cannot break its table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(schema: Schema) -> str:
    """The fields of one object."""
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        kind = ", ".join([type_of(field), *limits_of(field)])
        default = "required" if name in required else ""
        if not default and "default" in field:
            default = f"`{json.dumps(field['default'], ensure_ascii=False)}`"
        meaning = " ".join(field.get("description", "").split())
        lines.append(f"| `{name}` | {cell(kind)} | {cell(default)} | {cell(meaning)} |")
    return "\n".join(lines)


def long_enums(schema: Any, field: str = "") -> Iterator[tuple[str, list[str]]]:
    """(field, values) of every list of values that is too long for a table."""
    if isinstance(schema, Mapping):
        if len(schema.get("enum", ())) > FEW:
            yield field, [str(value) for value in schema["enum"]]
        for key, value in schema.items():
            named = key in ("anyOf", "oneOf", "items", "properties", "$defs")
            yield from long_enums(value, field if named else key)
    elif isinstance(schema, list):
        for value in schema:
            yield from long_enums(value, field)


def format_page(title: str, lead: str, schema: Schema) -> str:
    """A file format as a page: the file's fields, those of every part, the long lists of values."""
    parts = [f"# {title}", lead, "## The file", table(schema)]
    for name, part in sorted(schema.get("$defs", {}).items()):
        if "properties" in part:
            parts += [f"## {name}", part.get("description", ""), table(part)]
    shown: set[tuple[str, ...]] = set()
    for field, values in long_enums(schema):
        if tuple(values) in shown:
            continue
        shown.add(tuple(values))
        parts += [f"## Values of `{field}`", ", ".join(f"`{value}`" for value in values)]
    return "\n\n".join(part for part in parts if part) + "\n"


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """(name, help text) of a command and of all below it."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(below, info_name=name, parent=context, terminal_width=100, max_content_width=100)
                yield from commands(below, inner)


def commands_page() -> str:
    """Every command with its help text."""
    from lipbench.cli import group

    parts = ["# Command line", "What `lipbench COMMAND --help` prints."]
    for name, text in commands(group, click.Context(group, info_name="lipbench", terminal_width=100)):
        level = "##" if name.count(" ") <= 1 else "###"
        parts += [f"{level} {name}", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown."""
    from lipbench.baselines.external.config import Definition
    from lipbench.datasets.model import ManifestFile
    from lipbench.engine.config import RunFile

    return {
        "reference/cli.md": commands_page(),
        "reference/run-file.md": format_page(
            "Run file",
            "What to benchmark. [Running](../running.md) explains it; `lipbench run --schema` prints the JSON Schema.",
            RunFile.model_json_schema(),
        ),
        "reference/manifest.md": format_page(
            "Manifest",
            "Clips, dubs and licences. [Manifests](../manifest.md) has a whole one and the rules; "
            "`lipbench data schema` prints the JSON Schema.",
            ManifestFile.model_json_schema(),
        ),
        "reference/method-file.md": format_page(
            "Method file",
            "A method in its own environment. [External methods](../external-methods.md) explains it; "
            "`lipbench data schema method` prints the JSON Schema.",
            Definition.model_json_schema(),
        ),
    }
