"""Fuzz targets for comparisons: what two systems answer, and how people say where to ask and what must hold."""

import contextlib

import msgspec

from agt.router.parity import (
    Layout,
    ListingRefused,
    ParityInvalid,
    Projection,
    compare_listings,
    decode_listing,
    parse_parity,
    parse_source,
)
from agt.router.parity._document_end import DocumentEnd
from agt.router.parity._json import parse_json
from agt.router.parity._values import TooDeep
from agt.router.regression import CannotTell, ExpressionWrong, parse_expression, parse_suite
from support.fuzz_support import Target, pieces

PROJECTION = Projection(key=("id",))


def listing(data: bytes) -> None:
    """A listing is read or refused; what is read equals itself, and can be shown."""
    for layout in (Layout(key=("id",)), Layout(key=("id",), rows="panes", format="json"), Layout(key=("$key",))):
        with contextlib.suppress(ListingRefused, TooDeep):
            found = decode_listing(data, layout)
            projection = msgspec.structs.replace(PROJECTION, key=layout.key)
            assert compare_listings(found, found, projection, now=0.0).equal
            other = decode_listing(b'[{"id": "fuzz"}]', Layout(key=("id",)))
            beside = compare_listings(found, other, PROJECTION, now=0.0)
            assert msgspec.json.encode(beside)


def document_end(data: bytes) -> None:
    """The end is found at the same place however the bytes are cut, and never before the document is whole."""
    whole, cut = DocumentEnd(), DocumentEnd()
    found = whole.feed(data)
    assert found == ([cut.feed(part) for part in pieces(data)] or [cut.feed(b"")])[-1]
    with contextlib.suppress(ValueError):
        if isinstance(parse_json(data), dict | list):
            assert found


def source_specs(data: bytes) -> None:
    """A source is understood, or what to write instead is said in one line."""
    says = ""
    try:
        parse_source(data.decode("utf-8", "replace"))
    except ValueError as error:
        says = str(error)
    assert "\n" not in says


def parity_toml(data: bytes) -> None:
    """A parity file is read, or every problem of it is named."""
    with contextlib.suppress(ParityInvalid):
        assert parse_parity(data)


def suite_toml(data: bytes) -> None:
    """A suite is read, or every problem of it is named."""
    with contextlib.suppress(ParityInvalid):
        assert parse_suite(data).suite.calls >= 1


VALUES = {
    "output": {"score": 0.5, "items": [{"price": 1}, {"price": 2}], "text": "a", "none": None, "flag": True},
    "request": {"n": 3},
    "seed": 7,
}


def expressions(data: bytes) -> None:
    """An expression is refused, has no answer, or is true or false; it reaches nothing else."""
    with contextlib.suppress(ExpressionWrong, CannotTell):
        assert parse_expression(data.decode("utf-8", "replace")).holds(VALUES) in {True, False}


ROWS = (b'{"id":', b'"panes":[', b"}", b"]", b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"[" * 70, b"\n", b"9" * 5000)
TOML = (
    b"[[projection]]",
    b"[[request]]",
    b"[limits]",
    b"[[ignore]]",
    b" = ",
    b'"',
    b"\n",
    b"nan",
    b"{seed}",
    b"file:x",
)

TARGETS = (
    Target("listing", listing, ROWS),
    Target("document_end", document_end, (b"{", b"}", b"[", b"]", b'"', b"\\", b'\\"', b"\n", b"1")),
    Target("source_specs", source_specs, (b"cmd:", b"unix:", b"tcp:", b"?send=", b"&read=", b"'", b"[::1]:", b"%00")),
    Target("parity_toml", parity_toml, TOML),
    Target("suite_toml", suite_toml, TOML),
    Target(
        "expressions",
        expressions,
        (b"output.", b"all(", b" for x in ", b"(" * 90, b"sum", b" * ", b"__class__", b"9" * 60, b"round(", b"lambda:"),
    ),
)
