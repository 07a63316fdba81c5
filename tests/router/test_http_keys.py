"""Whose a request is, and which headers pass: pure functions under hypothesis."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.http import KeySource
from agt.router.http._config import KEY_COOKIE
from agt.router.http._headers import HOP_BY_HOP, caller_headers, framing_problem, upstream_headers
from agt.router.http._key import KeyAmbiguous, Keys

SOURCES = (
    KeySource(header="x-device"),
    KeySource(cookie="session"),
    KeySource(path="/devices/{key}/**"),
    KeySource(query="device"),
)
NAMES = st.sampled_from([b"x-device", b"cookie", b"connection", b"te", b"host", b"x", b"transfer-encoding", b"upgrade"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=8)


def name(path: str = "/", query: bytes = b"", *headers: tuple[bytes, bytes], keys: Keys | None = None) -> str:
    """The key of a request."""
    return (keys or Keys(SOURCES)).of(path, query, headers).name


def test_the_first_place_that_says_something_counts() -> None:
    """Header before cookie before path before query."""
    everything = ((b"cookie", b"session=s1"), (b"x-device", b" d1 "))
    assert name("/devices/p1/x", b"device=q1", *everything) == "d1"
    assert name("/devices/p1/x", b"device=q1", everything[0]).startswith("session-")
    assert name("/devices/p1/x", b"device=q1") == "p1"
    assert name("/", b"a=1&device=q%201") == "q 1"
    assert name() == ""


def test_a_cookie_shows_up_nowhere() -> None:
    """Its digest stands for it, always the same; where it is no secret the file may say so."""
    digest = name("/", b"", (b"cookie", b"a=b; session=secret"))
    assert "secret" not in digest
    assert digest == name("/", b"", (b"cookie", b"session=secret")) != name("/", b"", (b"cookie", b"session=other"))
    plain = Keys([KeySource(cookie="session", digest=False)])
    assert name("/", b"", (b"cookie", b"session=lamp"), keys=plain) == "lamp"


@pytest.mark.parametrize(
    "headers",
    [
        ((b"x-device", b"a"), (b"x-device", b"b")),
        ((b"cookie", b"session=a; session=b"),),
        ((b"cookie", b"session=a"), (b"cookie", b"session=b")),
    ],
)
def test_two_keys_in_one_place_are_refused(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """What we placed by one, a service might serve by the other."""
    with pytest.raises(KeyAmbiguous, match="two different keys"):
        Keys(SOURCES).of("/", b"", headers)


def test_the_same_key_twice_is_one_key() -> None:
    """No harm in that."""
    assert name("/", b"", (b"x-device", b"a"), (b"x-device", b"a")) == "a"


def test_a_key_that_nobody_could_write_counts_as_none() -> None:
    """Too long, or not printable."""
    assert name("/", b"", (b"x-device", b"x" * 257)) == ""
    assert name("/", b"", (b"x-device", b"a\x01b")) == ""


def test_nameless_callers_stay_get_a_cookie_or_are_placed_one_by_one() -> None:
    """As the file says."""
    assert Keys(SOURCES).of("/", b"", ()).name == ""
    by_cookie = Keys(SOURCES, anonymous="cookie")
    fresh = by_cookie.of("/", b"", ())
    assert fresh.set_cookie.startswith(f"{KEY_COOKIE}={fresh.name};".encode())
    assert (fresh.lasting, b"HttpOnly" in fresh.set_cookie) == (False, True)
    again = by_cookie.of("/", b"", ((b"cookie", f"{KEY_COOKIE}={fresh.name}".encode()),))
    assert (again.name, again.lasting, again.set_cookie) == (fresh.name, True, b"")
    forged = by_cookie.of("/", b"", ((b"cookie", f"{KEY_COOKIE}=../../x".encode()),))
    assert forged.set_cookie
    by_request = Keys(SOURCES, anonymous="request")
    assert by_request.of("/", b"", ()).name != by_request.of("/", b"", ()).name


@settings(max_examples=50)
@given(st.text(max_size=40), st.binary(max_size=60), HEADERS)
def test_no_request_makes_the_reading_fail(path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """It has a key, none, or two; and a key is short and printable."""
    for anonymous in ("control", "cookie", "request"):
        try:
            found = Keys(SOURCES, anonymous=anonymous).of(path, query, headers)
        except KeyAmbiguous:
            continue
        assert len(found.name) <= 256
        assert found.name.isprintable()


@settings(max_examples=50)
@given(HEADERS, st.booleans())
def test_nothing_of_one_connection_passes(headers: list[tuple[bytes, bytes]], trusted: bool) -> None:
    """Neither way; what we say ourselves is said once, and a request keeps what it is decided by."""
    passed = upstream_headers(headers, caller="::1", scheme="http", trusted=trusted, authority="h:1")
    names = [found for found, _ in passed]
    assert not set(names) & (HOP_BY_HOP - {b"transfer-encoding"})
    assert names.count(b"transfer-encoding") <= 1
    assert b"host" in names
    assert names.count(b"cookie") == sum(found == b"cookie" for found, _ in headers)
    assert (b"x-forwarded-for", b"::1") in passed
    assert any(found == b"forwarded" and value.startswith(b'for="[::1]"') for found, value in passed)
    assert not {found for found, _ in caller_headers(headers)} & HOP_BY_HOP


def test_framing_must_be_plain() -> None:
    """One length or chunks, one host."""
    chunked, length = (b"transfer-encoding", b"chunked"), (b"content-length", b"3")
    assert framing_problem((chunked, length)) == "the request has both Content-Length and Transfer-Encoding"
    assert "two values" in framing_problem((length, (b"content-length", b"4")))
    assert framing_problem((length, length)) == ""
    assert "Host" in framing_problem(((b"host", b"a"), (b"host", b"b")))
