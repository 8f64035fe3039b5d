"""Makes the page of every configuration key when the pages are built, from config.yaml and the schema."""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.workflow.schema import schema_for

ROOT = Path(__file__).resolve().parents[2]
_KEY = re.compile(r"^( *)([\w-]+):(?: (.*))?$")
_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Puts the tables where the page says ``{{ keys }}``."""
    return markdown.replace("{{ keys }}", keys()) if page.file.src_path == "configuration.md" else markdown


def keys() -> str:
    """Returns a table of each section: key, values that it takes, default, meaning."""
    schema = schema_for(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
    lines: list[str] = []
    for path, default, meaning in _commented((ROOT / "config.yaml").read_text(encoding="utf-8")):
        if len(path) == 1 and default is None:
            lines += ["", f"## {path[0]}", "", meaning, "", "| key | values | default | meaning |", "| - | - | - | - |"]
            continue
        if len(path) == 1:
            lines += ["", f"## {path[0]}", "", f"{meaning} Default: `{default}`."]
            continue
        values = _values(_find(schema, schema, path))
        cells = (f"`{'.'.join(path)}`", values, f"`{default}`" if default is not None else "", meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _commented(text: str) -> list[tuple[tuple[str, ...], str | None, str]]:
    """Returns each key's path, its value as written (None for a section) and the comment above it."""
    found: list[tuple[tuple[str, ...], str | None, str]] = []
    comment: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# ").strip() if stripped != "#" else "")
            continue
        key = _KEY.match(line)
        if key is None:
            comment = []  # what stands before a blank line is about the file
            continue
        depth = len(key[1]) // 2
        above[depth:] = [key[2]]
        found.append((tuple(above), key[3] or None, " ".join(filter(None, comment))))
        comment = []
    return found


def _find(schema: dict[str, Any], part: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Returns the part of a schema that a key must fit; empty where the schema says nothing of it."""
    if "$ref" in part:
        referred = schema["$defs"][part["$ref"].rpartition("/")[2]]
        part = {**referred, **part, "properties": {**referred.get("properties", {}), **part.get("properties", {})}}
    if not path:
        return part
    inner = part.get("properties", {}).get(path[0], part.get("additionalProperties"))
    return _find(schema, inner, path[1:]) if isinstance(inner, dict) else {}


def _values(part: dict[str, Any]) -> str:
    if "anyOf" in part:
        return " or ".join(filter(None, map(_values, part["anyOf"])))
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{'null' if value is None else value}`" for value in part["enum"])
    kinds = part.get("type", "")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return " ".join([kind, *(words.format(part[name]) for name, words in _LIMITS.items() if name in part)]).strip()
