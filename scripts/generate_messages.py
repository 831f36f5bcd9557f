"""Write kafka_protocol/messages from kio's classes (`make messages`).

kio holds one class per message and version; the broker wants one class per message with every
version's fields, so that a handler is written once. Field names are Kafka's, in snake case, with
units where kio turned them into timedeltas. Read the diff before committing it.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import pkgutil
import re
import subprocess
import sys
import types
import typing
from pathlib import Path

from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map

ROOT = Path(__file__).resolve().parent.parent / "kafka_protocol"
KEYS = [k for k in sorted(api_key_map) if k <= 75 and k not in (38, 39, 40, 41, 71, 72, 70, 58)]
KINDS = {
    "bool": ("BOOL", "bool"),
    "int8": ("INT8", "int"),
    "int16": ("INT16", "int"),
    "uint16": ("UINT16", "int"),
    "int32": ("INT32", "int"),
    "int64": ("INT64", "int"),
    "float64": ("FLOAT64", "float"),
    "error_code": ("INT16", "int"),
    "timedelta_i32": ("INT32", "int"),
    "timedelta_i64": ("INT64", "int"),
    "datetime_i64": ("INT64", "int"),
    "uuid": ("UUID_", "UUID"),
    "string": ("STRING", "str"),
    "bytes": ("BYTES", "bytes"),
    "records": ("RECORDS", "Buffer"),
}


NOTHING = object()


@dataclasses.dataclass
class Field:
    name: str
    kind: str = ""
    nested: type | None = None
    array: bool = False
    versions: set[int] = dataclasses.field(default_factory=set)
    nullable: set[int] = dataclasses.field(default_factory=set)
    tag: int | None = None
    default: object = NOTHING


def split(hint: object) -> tuple[object, bool, bool]:
    """(inner type, is array, is nullable) of a kio annotation."""
    nullable = False
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        nullable = True
        hint, origin = inner[0], typing.get_origin(inner[0])
    if origin is tuple:
        return typing.get_args(hint)[0], True, nullable
    return hint, False, nullable


def our_name(name: str, kind: str) -> str:
    timed = kind.startswith("timedelta") or (kind == "datetime_i64" and "timestamp" not in name)
    return name + "_ms" if timed and not name.endswith("_ms") else name


def plain(value: object) -> object:
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, ErrorCode):
        return int(value.value)
    if isinstance(value, bool) or value is None or isinstance(value, str | bytes):
        return value
    if isinstance(value, int):
        return int(value)
    return value


def collect(classes: dict[int, type]) -> tuple[dict[str, list[Field]], dict[str, int]]:
    """Union over versions: struct name -> fields in wire order; and flexible-since per root."""
    structs: dict[str, list[Field]] = {}
    order: dict[str, list[list[str]]] = {}
    table: dict[str, dict[str, Field]] = {}

    def visit(cls: type, version: int, seen: set[str]) -> None:
        if cls.__name__ in seen:
            return
        seen.add(cls.__name__)
        hints = typing.get_type_hints(cls)
        names = []
        for f in dataclasses.fields(cls):
            inner, array, nullable = split(hints[f.name])
            kind = f.metadata.get("kafka_type", "")
            name = our_name(f.name, kind)
            names.append(name)
            entry = table.setdefault(cls.__name__, {}).setdefault(name, Field(name))
            if entry.kind not in ("", kind):
                print("kind changes", cls.__name__, name, entry.kind, kind)
            entry.kind, entry.array = kind or entry.kind, array
            if not kind:
                assert dataclasses.is_dataclass(inner), (cls, f.name)
                entry.nested = inner
                visit(inner, version, seen)
            entry.versions.add(version)
            if (nullable and kind not in ("uuid", "datetime_i64")) or (
                kind == "records" and nullable
            ):
                entry.nullable.add(version)
            if "tag" in f.metadata:
                entry.tag = f.metadata["tag"]
            if f.default is not dataclasses.MISSING:
                default = plain(f.default)
                if kind == "datetime_i64" and default is None:
                    default = -1
                if kind == "uuid" and default is None:
                    default = NOTHING
                entry.default = default
        order.setdefault(cls.__name__, []).append(names)
        structs.setdefault(cls.__name__, [])

    for version in sorted(classes, reverse=True):
        visit(classes[version], version, set())
    for name in structs:
        merged = list(order[name][0])
        for names in order[name][1:]:
            for i, n in enumerate(names):
                if n not in merged:
                    merged.insert(merged.index(names[i - 1]) + 1 if i else 0, n)
        structs[name] = [table[name][n] for n in merged]
    return structs, {}


def declare(f: Field, rename: dict[str, str], lo: int, hi: int) -> str:
    if f.nested is not None:
        base, py = rename[f.nested.__name__], rename[f.nested.__name__]
    else:
        base, py = KINDS[f.kind]
    wt = f"Array({base})" if f.array else base
    args = [wt]
    since, until = min(f.versions), max(f.versions)
    assert f.versions == set(range(since, until + 1)), (f.name, f.versions)
    if since > lo:
        args.append(f"since={since}")
    if until < hi:
        args.append(f"until={until}")
    if f.nullable:
        assert f.nullable == set(range(min(f.nullable), until + 1)) or print(
            "nullable hole", f.name, f.nullable
        )
        args.append(f"nullable_since={min(f.nullable)}")
    if f.tag is not None:
        args.append(f"tag={f.tag}")
    hint = f"list[{py}]" if f.array else py
    if f.array:
        if f.default is None:
            args.append("default=None")
        else:
            args.append("factory=list")
    elif f.default is not NOTHING and not dataclasses.is_dataclass(f.default):
        args.append(f"default={f.default!r}".replace("'", '"'))
    elif f.nested is not None:
        args.append("default=None" if f.nullable else f"factory={base}")
    else:
        zero = {
            "bool": "False",
            "float": "0.0",
            "int": "0",
            "UUID": "ZERO_UUID",
            "str": '""',
            "bytes": 'b""',
            "Buffer": "None",
        }[py]
        args.append(f"default={zero}")
    if f.nullable or "default=None" in args:
        hint += " | None"
    return f"    {f.name}: {hint} = wire({', '.join(args)})"


def module(key: int) -> tuple[str, str]:
    api = api_key_map[key]
    package = importlib.import_module(f"kio.schema.{api}")
    versions = sorted(
        int(m.name[1:]) for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("v")
    )
    lines: list[str] = []
    uses = set()
    names_used: set[str] = set()
    for part in ("request", "response"):
        classes: dict[int, type] = {}
        for v in versions:
            mod = importlib.import_module(f"kio.schema.{api}.v{v}.{part}")
            root = next(
                c
                for c in vars(mod).values()
                if isinstance(c, type)
                and dataclasses.is_dataclass(c)
                and c.__module__ == mod.__name__
                and c.__type__.name == part
            )
            classes[v] = root
        structs, _ = collect(classes)
        lo, hi = versions[0], versions[-1]
        flexible = [v for v in versions if classes[v].__flexible__]
        root_name = classes[hi].__name__
        rename = {}
        for name in structs:
            new = name
            if new in names_used:
                new = f"{part.capitalize()}{name}"
            names_used.add(new)
            rename[name] = new
        done: set[str] = set()
        pending = list(structs)
        while pending:
            for name in list(pending):
                needs = {f.nested.__name__ for f in structs[name] if f.nested is not None}
                if needs <= done:
                    break
            pending.remove(name)
            done.add(name)
            s_lo = min(min(f.versions) for f in structs[name]) if structs[name] else lo
            s_hi = max(max(f.versions) for f in structs[name]) if structs[name] else hi
            lines += ["", "", "@message", f"class {rename[name]}:"]
            if name == root_name:
                lines += [
                    f"    API_KEY: ClassVar[int] = {key}",
                    f"    MIN_VERSION: ClassVar[int] = {lo}",
                    f"    MAX_VERSION: ClassVar[int] = {hi}",
                    f"    FLEXIBLE_SINCE: ClassVar[int] = {flexible[0] if flexible else 'FOREVER'}",
                ]
                if not flexible:
                    uses.add("FOREVER")
            del s_lo, s_hi
            lines += [declare(f, rename, lo, hi) for f in structs[name]]
            if not structs[name] and name != root_name:
                lines.append("    pass")
    text = "\n".join(lines)
    words = set(re.findall(r"\b[A-Z][A-Z0-9_]+_?\b|\bArray\b", text)) | uses
    exported = [
        "Array",
        "BOOL",
        "BYTES",
        "FLOAT64",
        "FOREVER",
        "INT16",
        "INT32",
        "INT64",
        "INT8",
        "RECORDS",
        "STRING",
        "UINT16",
        "UUID_",
        "ZERO_UUID",
    ]
    imports = [w for w in exported if w in words] + ["message", "wire"]
    head = [
        f'"""{api.replace("_", " ").capitalize()} (api key {key}), versions {versions[0]} to {versions[-1]}. '
        'Generated by `make messages`; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import ClassVar",
    ]
    if "UUID" in text.replace("UUID_", "").replace("ZERO_UUID", ""):
        head.append("from uuid import UUID")
    head += ["", f"from kafka_protocol.fields import {', '.join(imports)}"]
    if "Buffer" in text:
        head.append("from kafka_protocol.fields import Buffer")
    return f"k{key:02d}_{api}", "\n".join(head) + text + "\n"


def main() -> None:
    out = ROOT / "messages"
    index = []
    for key in KEYS:
        name, text = module(key)
        (out / f"{name}.py").write_text(text)
        index.append((key, name))
    rows = "\n".join(f'    {k}: "{n}",' for k, n in index)
    (out / "__init__.py").write_text(
        '"""One module per api key: request and response with every version\'s fields. Generated by '
        '`make messages`; do not edit."""\n\nMODULES: dict[int, str] = {\n' + rows + "\n}\n"
    )
    keys = "\n".join(f"    {name.upper()} = {key}" for key, name in sorted(api_key_map.items()))
    (ROOT / "api_keys.py").write_text(
        '"""Kafka\'s api keys. Generated by `make messages`; do not edit."""\n\nfrom enum import IntEnum\n\n\n'
        f"class ApiKey(IntEnum):\n{keys}\n"
    )
    errors = "\n".join(
        f"    {e.name.upper()} = {e.value}" for e in sorted(ErrorCode, key=lambda e: e.value)
    )
    (ROOT / "errors.py").write_text(
        '"""Kafka\'s error codes. Generated by `make messages`; do not edit."""\n\nfrom enum import IntEnum\n\n\n'
        f"class ErrorCode(IntEnum):\n{errors}\n"
    )
    subprocess.run([sys.executable, "-m", "ruff", "check", "-q", "--fix", str(out)], check=False)
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-q", str(out), str(ROOT / "errors.py")],
        check=True,
    )


if __name__ == "__main__":
    main()
