"""Writes the generated parts of the reference, from the command lines and the schema of manifests.

python docs/generate_reference.py
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "cli.md"
BUNDLE_PAGE = ROOT / "docs" / "reference" / "bundle.md"
JSON_SCHEMA = ROOT / "docs" / "reference" / "manifest.schema.json"
TYPESCRIPT = ROOT / "mobile_demo" / "src" / "bundle" / "manifest_schema.ts"
HEAD = """\
# Command lines

This page is generated from the commands' own `--help` by `python docs/generate_reference.py`.
"""
# Around what is generated in a page.
BEGIN, END = "<!-- made by docs/generate_reference.py -->", "<!-- end -->"


def iter_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yields a parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from iter_parsers(subparser)


def render() -> str:
    """Returns the page of the command lines."""
    from export.cli import COMMANDS, export
    from keras_seq.cli import make_parser

    os.environ["COLUMNS"] = "100"
    exporters = (command.make_parser() for command in (export, *COMMANDS.values()))
    parsers = [*iter_parsers(make_parser()), *exporters]
    sections = (
        f"## {parser.prog}\n\n```\n{parser.format_help().strip()}\n```" for parser in parsers
    )
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def render_json_schema() -> str:
    """Returns the schema of a manifest as JSON Schema."""
    from export.manifest import make_json_schema

    return json.dumps(make_json_schema(), indent=2) + "\n"


def render_typescript() -> str:
    """Returns the schema of a manifest as TypeScript: the types, and the JSON Schema as a value."""
    from export.manifest import make_json_schema

    schema = make_json_schema()
    lines = [
        "/** Made by `python docs/generate_reference.py` of export/manifest.py: change it there. */"
    ]
    for name, part in schema["$defs"].items():
        lines += ["", f"/** {part['description']} */", f"export interface {name} {{"]
        for key, kind in part["properties"].items():
            optional = "" if key in part["required"] else "?"
            lines += [f"  /** {kind['description']} */", f"  {key}{optional}: {_name_type(kind)};"]
        lines += ["}"]
    content = json.dumps(_drop_prose(schema), ensure_ascii=False)
    return "\n".join([*lines, "", f"export const MANIFEST_SCHEMA: object = {content};", ""])


def _drop_prose(schema: Any) -> Any:
    """Returns a JSON Schema without its descriptions, which the app would only carry along."""
    if isinstance(schema, list):
        return [_drop_prose(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    prose = {"description", "title"}
    return {
        key: _drop_prose(part)
        for key, part in schema.items()
        if not (key in prose and isinstance(part, str))
    }


def _name_type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(map(_name_type, schema["anyOf"])))
    if "enum" in schema:
        return " | ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in schema["enum"])
    match schema.get("type"):
        case "array":
            inside = _name_type(schema["items"])
            return f"({inside})[]" if " " in inside else f"{inside}[]"
        case "object":
            return f"Record<string, {_name_type(schema.get('additionalProperties', {}))}>"
        case "integer" | "number":
            return "number"
        case None:
            return "unknown"
        case kind:
            return kind


def render_tables() -> str:
    """Returns a table in Markdown for each object of a manifest."""
    from export.manifest import GRAMMAR, make_json_schema

    patterns = {pattern: words.partition(":")[0] for pattern, words in GRAMMAR.items()}
    sections = []
    for name, part in make_json_schema()["$defs"].items():
        title = "The manifest" if name == "Manifest" else name
        lines = [f"#### {title}", "", part["description"], "", "| key | value | meaning |"]
        lines += ["|---|---|---|"]
        for key, kind in part["properties"].items():
            optional = "" if key in part["required"] else ", optional"
            value = _describe_type(kind, patterns) + optional
            lines.append(f"| `{key}` | {value} | {kind['description']} |")
        sections.append("\n".join(lines))
    names = "\n".join(f"- {words}" for words in GRAMMAR.values())
    return "\n\n".join([*sections, "#### Names\n\nThe grammar of the words above:\n\n" + names])


def _describe_type(schema: dict[str, Any], patterns: dict[str, str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        parts = (_describe_type(part, patterns) for part in schema["anyOf"])
        return " or ".join(dict.fromkeys(parts))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return patterns[schema["pattern"]]
    match schema.get("type"):
        case "array":
            return f"list: {_describe_type(schema['items'], patterns)}"
        case "object":
            keys = schema.get("propertyNames", {}).get("pattern")
            values = _describe_type(schema.get("additionalProperties", {}), patterns)
            return f"object: {values} by {patterns.get(keys, 'string')}"
        case None:
            return "any value"
        case kind:
            return kind


def render_bundle_page() -> str:
    """Returns the page of bundles, with the tables as they are now."""
    before, _, rest = BUNDLE_PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{render_tables()}\n\n{END}{rest.partition(END)[2]}"


PAGES = {
    PAGE: render,
    BUNDLE_PAGE: render_bundle_page,
    JSON_SCHEMA: render_json_schema,
    TYPESCRIPT: render_typescript,
}


if __name__ == "__main__":
    for path, make in PAGES.items():
        path.write_text(make(), "utf-8")
