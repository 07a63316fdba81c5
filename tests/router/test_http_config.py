"""`http.toml`: everything that is wrong is said at once, and nothing that is wrong is taken."""

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router import parse_selector
from agt.router.http import Address, HttpConfigInvalid, load_http_config, parse_http_config
from agt.router.http._pattern import PathPattern, pattern_problem
from agt.router.http._retired import Retirements
from agt.router.http._rules import Rules

EXAMPLES = Path(__file__).parents[2] / "examples" / "http"
GOOD = """
anonymous = "cookie"
fallback = "reads"
[runtimes]
control = "v1"
candidate = "v2"
[listen]
address = "127.0.0.1:8001"
[upstreams.v1]
url = "http://127.0.0.1:8000"
[upstreams.v2]
url = "unix:/run/v2.sock"
twin = "http://[::1]:8003"
[[key]]
header = "x-device"
[[key]]
path = "/devices/{key}/**"
[[route]]
path = "/api/predict/**"
component = "prediction"
kind = "read"
[[retired]]
path = "/api/v1/**"
deprecated = 2026-03-20T00:00:00Z
sunset = 2026-04-20T00:00:00Z
successor = "/api/v2/"
[[mirror.rules.ignore]]
field = "reply.at"
owner = "ops"
reason = "time"
expires = 2099-01-01T00:00:00Z
"""


def problems(text: str) -> list[str]:
    """What is said about a text."""
    with pytest.raises(HttpConfigInvalid) as caught:
        parse_http_config(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_whole_file_is_read() -> None:
    """Every table, with its defaults."""
    config = parse_http_config(GOOD)
    assert config.upstreams["v2"].twin == "http://[::1]:8003"
    assert config.limits.answer_s == 30.0
    assert config.mirror.rules.ignore[0].owner == "ops"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[upstreams.v2]", "[upstreams.v3]", "upstreams.v3: unknown runtime; did you mean v"),
        ('candidate = "v2"', 'candidate = "v1"', "runtimes.candidate: is the control's name too"),
        ("http://127.0.0.1:8000", "https://h", "upstreams.v1.url: TLS to a service isn't spoken here"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "upstreams.v1.url: '127.0.0.1:8000' is no address; write http://"),
        ("http://127.0.0.1:8000", "http://h:99999", "upstreams.v1.url: "),
        ("http://[::1]:8003", "unix:/run/v2.sock", "upstreams.v2.twin: is the same as upstreams.v2.url"),
        (
            'twin = "http',
            'rewrite = { "/api" = "/b/" }\ntwin = "http',
            "upstreams.v2.rewrite: '/api' = '/b/' must both",
        ),
        ("127.0.0.1:8001", "0.0.0.0:8001", "listen.address: is open beyond this machine; write public = true"),
        ('header = "x-device"', 'header = "x-device"\nquery = "q"', "key[0]: needs exactly one of header, cookie"),
        ('header = "x-device"', 'header = "x device"', "key[0].header: 'x device' can't be the name of a header"),
        ("/devices/{key}/**", "/devices/*", "key[1].path: has no {key} in it"),
        ("/api/predict/**", "api/predict", "route[0].path: 'api/predict' must start with a slash"),
        ('kind = "read"', 'kind = "reed"', "route[0].kind: invalid enum value"),
        ('kind = "read"', 'methods = ["post"]', "route[0].methods: 'post' is no method; write it in capitals"),
        ("2026-04-20T00:00:00Z", "2026-04-20T00:00:00", "retired[0].sunset: needs an offset"),
        ("2026-04-20T00:00:00Z", "2026-03-19T00:00:00Z", "retired[0].sunset: is before deprecated"),
        ('"/api/v2/"', '"/api/v2/>; x"', "retired[0].successor: must be an address"),
        ('fallback = "reads"', 'falback = "reads"', "falback: unknown key; did you mean fallback?"),
        ('owner = "ops"', "", "mirror.rules.ignore[0].owner: is missing"),
        ("[runtimes]", "[runtimes]\n[runtimes]", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, says: str) -> None:
    """And with what to write instead."""
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert any(says in line for line in found), found


def test_all_mistakes_are_said_at_once() -> None:
    """Nobody finds them one by one."""
    wrong = (
        GOOD.replace("[[key]]\nheader", "[[key]]\nhaeder").replace("twin =", "tvin =").replace("[listen]", "[lisen]")
    )
    assert len(problems(wrong)) == 3


def test_a_file_that_is_missing_or_too_large_is_said_so(tmp_path: Path) -> None:
    """In one line, like everything else."""
    with pytest.raises(HttpConfigInvalid, match="can't be read: No such file"):
        load_http_config(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(HttpConfigInvalid, match="is larger than"):
        load_http_config(tmp_path / "large.toml")


@settings(max_examples=25)
@given(st.integers(0, len(GOOD)), st.integers(0, 40), st.text(max_size=10))
def test_a_damaged_file_is_refused_or_sound_and_nothing_else(at: int, cut: int, put: str) -> None:
    """No traceback, whatever an editor left behind."""
    try:
        config = parse_http_config(GOOD[:at] + put + GOOD[at + cut :])
    except HttpConfigInvalid:
        return
    assert set(config.upstreams) == {config.runtimes.control, config.runtimes.candidate}


def test_addresses_are_of_two_kinds() -> None:
    """Hosts with ports, and Unix sockets; only loopback is local."""
    assert Address.parse("http://[::1]:80").authority == "[::1]:80"
    assert Address.parse("unix:/a b").path == "/a b"
    assert [Address.parse(text).is_local for text in ("localhost:1", "127.9.9.9:1", "[::1]:1", "10.0.0.1:1")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/a", "/a", {}),
        ("/a", "/a/", None),
        ("/a/*", "/a/b", {}),
        ("/a/*", "/a/b/c", None),
        ("/a/**", "/a", {"rest": ""}),
        ("/a/**", "/a/b/c", {"rest": "b/c"}),
        ("/a/**", "/ab", None),
        ("/**", "/", {"rest": ""}),
        ("/d/{key}/s", "/d/7/s", {"key": "7"}),
        ("/d/{key}/s", "/d//s", None),
        ("/v.1", "/vx1", None),
        ("/a*c", "/abbc", {}),
    ],
)
def test_patterns_mean_what_they_look_like(pattern: str, path: str, names: dict[str, str] | None) -> None:
    """One segment, the rest, or a name."""
    assert PathPattern(pattern).match(path) == names


@settings(max_examples=50)
@given(st.text(max_size=30).map(lambda text: "/" + text), st.text(max_size=30))
def test_any_text_is_a_pattern_or_says_why_not(text: str, path: str) -> None:
    """And none makes the matching slow or fail."""
    if pattern_problem(text):
        with pytest.raises(ValueError, match=re.escape(pattern_problem(text))):
            PathPattern(text)
    else:
        PathPattern(text).match(path)


def test_the_first_rule_counts_and_unknown_is_a_write() -> None:
    """Safe methods read, everything else writes, unless a rule says otherwise."""
    rules = Rules(parse_http_config(GOOD).route, answer_s=1.0, idle_s=2.0)
    assert rules.of("POST", "/api/predict/x").reads
    assert rules.of("POST", "/api/predict/x").component == "prediction"
    assert [rules.of(method, "/").reads for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "BREW")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_retirement_goes_by_the_selector() -> None:
    """Nothing while it says serve, headers while it says warn, 410 when it says refuse."""
    retirements = Retirements(parse_http_config(GOOD).retired)
    assert retirements.of("GET", "/api/v1/x", "v1", listener="serve") is None
    assert retirements.of("GET", "/api/v2/x", "v1", listener="refuse") is None
    warned = retirements.of("GET", "/api/v1/x", "v1", listener="warn")
    gone = retirements.of("GET", "/api/v1/x", "v2", listener="refuse")
    assert warned is not None
    assert gone is not None
    assert (warned.gone, gone.gone) == (False, True)
    assert dict(warned.headers) == {
        b"deprecation": b"@%d" % datetime.datetime(2026, 3, 20, tzinfo=datetime.UTC).timestamp(),
        b"sunset": b"Mon, 20 Apr 2026 00:00:00 GMT",
        b"link": b'</api/v2/>; rel="successor-version"',
    }
    assert b'"successor":"/api/v2/"' in gone.body


def test_a_successor_takes_names_over_and_quotes_them() -> None:
    """The caller's words can't break out of the header."""
    text = GOOD.replace('path = "/api/v1/**"', 'path = "/api/v1/{id}"').replace('"/api/v2/"', '"/api/v2/{id}"')
    gone = Retirements(parse_http_config(text).retired).of("GET", '/api/v1/a>"\r\nx', "v1", listener="refuse")
    assert gone is not None
    assert gone.successor == "/api/v2/a%3E%22%0D%0Ax"
    rest = Retirements(parse_http_config(GOOD.replace('"/api/v2/"', '"/api/v2/{rest}"')).retired)
    deep = rest.of("GET", "/api/v1/users/7 x", "v1", listener="refuse")
    assert deep is not None
    assert deep.successor == "/api/v2/users/7%20x"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/http.toml")), ids=lambda path: path.parent.name)
def test_the_examples_are_sound(path: Path) -> None:
    """Each with a selector for the same runtimes."""
    config = load_http_config(path)
    selector = parse_selector(path.with_name("selector.toml").read_text(), origin=path.parent.name)
    assert selector.runtimes == config.runtimes
