"""What the adapter can be told: `http.toml` as frozen structs. Reading the text is `_config_file`'s work."""

import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agt.router._selector import Name, Runtimes
from agt.router.shadow import NO_RULES, ShadowRules

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30)]
Text = Annotated[str, Meta(max_length=500)]

KEY_COOKIE: Final = "agt-key"
"""The cookie that gives an anonymous caller a lasting place."""


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where callers come in, `[listen]`."""

    address: str = "127.0.0.1:8080"
    """`HOST:PORT` (port 0 takes a free one), or `unix:PATH`."""
    public: bool = False
    """Whether an address beyond this machine is meant; without it only loopback and Unix sockets are taken."""
    connections_max: Count = 1000
    """Open connections; a request on one more is answered 503."""
    headers_max_bytes: Bytes = 32_768
    """Largest head of a request or an answer; a larger one is refused."""
    head_s: Seconds = 10.0
    """How long a caller may take over the head of a request."""
    keep_alive_s: Seconds = 15.0
    """How long an idle connection is kept."""
    stop_s: Seconds = 10.0
    """How long requests under way may go on when the adapter is told to end."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One runtime's service, `[upstreams.NAME]`."""

    url: str
    """`http://HOST:PORT` or `unix:PATH`."""
    twin: str = ""
    """A stand-in that takes mirrored writes, written likewise; without one, no write is mirrored to this runtime."""
    rewrite: dict[str, str] = {}
    """Beginnings of paths that this service calls otherwise: `{ "/api/v1/" = "/api/v2/" }`; the longest counts."""
    connections_max: Count = 100
    """Open connections to it."""
    waiting_max: Count = 1000
    """Requests that wait for a connection; more are answered 503."""
    connect_s: Seconds = 2.0
    """How long a request waits for a connection, new or free."""
    keep_alive_s: Seconds = 2.0
    """How long an idle connection is used again; keep it below the service's own."""


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the router reads and serves, `[router]`; relative names are in the run directory."""

    selector: str = "selector.toml"
    """The selector; without a readable one everything goes to control."""
    environment: str = "agt.env"
    """Variables over the selector."""
    api: str = "gateway.sock"
    """Socket for `agt status`, `agt kill-switch`, previews and metrics; empty for none."""
    ledger: str = ""
    """Journal that keeps the counts over a restart; empty for none."""


class KeySource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place where a request says whose it is, `[[key]]`; exactly one of the first four."""

    header: Text = ""
    """Name of a header."""
    cookie: Text = ""
    """Name of a cookie."""
    path: Text = ""
    """Pattern of a path with `{key}` in it."""
    query: Text = ""
    """Name of a query parameter."""
    digest: bool | None = None
    """Whether a digest stands for the value, so that it shows up nowhere; absent means true for cookies."""


class RouteRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for some requests, `[[route]]`; the first that matches counts."""

    path: str
    """Pattern of the path."""
    methods: tuple[str, ...] = ()
    """Methods it is about; all when empty."""
    component: Annotated[str, Meta(max_length=64)] = ""
    """Component of the selector that must be on for the candidate to answer."""
    kind: Literal["", "read", "write"] = ""
    """`read` for what changes nothing though its method may (a POST that only computes), `write` for what does
    though its method says otherwise; empty goes by the method."""
    answer_s: Seconds | None = None
    """Deadline of these requests, instead of `limits.answer_s`."""
    idle_s: Seconds | None = None
    """Longest silence in the middle of these, instead of `limits.idle_s`; for event streams."""


class Retired(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Endpoints on their way out, `[[retired]]`."""

    path: str
    """Pattern of the path."""
    methods: tuple[str, ...] = ()
    """Methods it is about; all when empty."""
    runtime: str = ""
    """Only what this runtime would answer; empty for both."""
    state: Literal["selector", "deprecated", "gone"] = "selector"
    """`selector` goes by its `legacy_listener`: `serve` does nothing, `warn` answers with the headers below, `refuse`
    answers 410. The other two hold whatever it says."""
    deprecated: datetime.datetime | None = None
    """Since when, with an offset: the header `Deprecation` (RFC 9745)."""
    sunset: datetime.datetime | None = None
    """When it ends: the header `Sunset` (RFC 8594)."""
    successor: Text = ""
    """Where to go instead: `Link: <...>; rel="successor-version"`; may use the pattern's names, `{rest}` for `**`."""
    policy: Text = ""
    """Where that is explained: `Link: <...>; rel="deprecation"`."""
    says: Text = ""
    """A sentence for the body of the 410."""


class Mirroring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the shadow works, `[mirror]`; whether it runs is the selector's to say."""

    queue_max: Count = 100
    """Requests that wait to be mirrored; more are shed and counted."""
    concurrent: Annotated[int, Meta(ge=1, le=100)] = 4
    """Mirrored requests under way."""
    timeout_s: Seconds = 10.0
    """How long one may take."""
    body_max_bytes: Bytes = 65_536
    """Largest request body that is mirrored."""
    answer_max_bytes: Bytes = 262_144
    """Largest answer that is compared."""
    memory_max_bytes: Bytes = 16_777_216
    """Bodies kept for mirroring, all together."""
    headers: tuple[str, ...] = ("content-type",)
    """Headers of the answers that are compared."""
    rules: ShadowRules = NO_RULES
    """What counts as a difference: tables `ignore`, `room` and `same`, as in `shadow.toml`. Fields are `status`,
    `header.NAME` and `reply.PATH`; the key of an ignore rule is the request's path."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much, `[limits]`."""

    requests_max: Count = 1000
    """Requests under way; more are answered 503."""
    answer_s: Seconds = 30.0
    """Deadline: from the last byte of a request to the head of its answer; 504 after it."""
    idle_s: Seconds = 60.0
    """Longest silence in the middle of a request or an answer."""
    body_max_bytes: Annotated[int, Meta(ge=0)] = 0
    """Largest request body, 413 beyond; 0 for any."""
    key_max: Annotated[int, Meta(ge=8, le=4096)] = 256
    """Longest key in characters; a longer one counts as none."""
    keys_max: Count = 10_000
    """Callers remembered for previews, status and pins; the decision itself needs no memory."""
    key_idle_s: Seconds = 600.0
    """After so long without a request a caller's session has ended."""


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `http.toml`."""

    runtimes: Runtimes
    """The two services' names, as the selector writes them."""
    upstreams: dict[Name, Upstream]
    """Where each runtime answers; a table each."""
    listen: Listen = Listen()
    """Where callers come in; a table, see below."""
    router: Files = Files()
    """What the router reads and serves; a table, see below."""
    key: tuple[KeySource, ...] = ()
    """Where a request says whose it is, in order; an array of tables, see below."""
    anonymous: Literal["control", "cookie", "request"] = "control"
    """What happens to a request without a key: control answers it, it is given a key by cookie, or each is placed by
    itself (a share of requests instead of callers)."""
    route: tuple[RouteRule, ...] = ()
    """What holds for some requests; an array of tables, see below."""
    retired: tuple[Retired, ...] = ()
    """Endpoints on their way out; an array of tables, see below."""
    mirror: Mirroring = Mirroring()
    """How the shadow works; a table, see below."""
    limits: Limits = Limits()
    """How long and how much; a table, see below."""
    fallback: Literal["off", "reads", "unsent"] = "off"
    """Whether control is asked when the candidate gives no answer: never; for reads without a body; or for everything
    that provably never reached the candidate, too. A write that may have arrived is never sent twice."""
    show_runtime: bool = True
    """Whether answers say which runtime made them, in `x-agt-runtime`."""
    trust_forwarded: bool = False
    """Whether `X-Forwarded-*` and `Forwarded` of callers are kept and continued; only behind a proxy of your own."""
