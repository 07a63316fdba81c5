"""The adapter: an ASGI application that sends each request to control or candidate, by the router's decision.

A request is placed when it has a connection to send it over and not before: while it waits for one nothing has been
sent, so a kill or a move takes it along. Once its first byte is out it ends where it is.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import h11

from agt.router._router import Router
from agt.router.http._accounts import Account, Books
from agt.router.http._address import Address
from agt.router.http._answers import OwnAnswer, refusal, unanswered
from agt.router.http._asked import Asked
from agt.router.http._callers import Callers
from agt.router.http._config import HttpConfig
from agt.router.http._connection import Connection
from agt.router.http._ending import Ending
from agt.router.http._errors import Broken, CallerGone, Refused, UpstreamFailure
from agt.router.http._exchange import Exchange, Patience, Receive, Send, too_large
from agt.router.http._headers import (
    RUNTIME,
    RawHeaders,
    body_announced,
    caller_headers,
    first,
    framing_problem,
    upstream_headers,
    wants_websocket,
)
from agt.router.http._key import KeyAmbiguous, Keys
from agt.router.http._mirror import Mirror
from agt.router.http._pool import Pool
from agt.router.http._recording import Recording
from agt.router.http._retired import Retirement, Retirements
from agt.router.http._rules import Rules
from agt.router.shadow import Shadow
from agt.transport import Outcome

PLACED_MAX: Final = 3
"""Times that one request may be placed anew while it waits; a selector that flaps faster finds it where it is."""


class HttpAdapter:
    """Stands in front of two HTTP services. Asyncio only.

    Args:
        config: What it was told.
        router: Decides, and keeps the ledger; `run` and `watch` it as any other.
        shadow: Counts what mirrored requests say; the router's own, so that its status shows it.
    """

    def __init__(self, config: HttpConfig, router: Router, shadow: Shadow | None = None) -> None:
        self.config, self._router = config, router
        loop = asyncio.get_running_loop()
        limits = config.limits
        self.books = Books(router, loop.time)
        """What became of every request."""
        self.callers = Callers(router, keys_max=limits.keys_max, idle_s=limits.key_idle_s)
        """Who is known."""
        self._clock = loop.time
        self._keys = Keys(config.key, anonymous=config.anonymous, key_max=limits.key_max)
        self._rules = Rules(config.route, answer_s=limits.answer_s, idle_s=limits.idle_s)
        self._retirements = Retirements(config.retired)
        self.retired: dict[str, int] = {"deprecated": 0, "gone": 0}
        """Requests to endpoints on their way out, by what was said about them."""
        self._pools = {name: _pool(config, name) for name in config.upstreams}
        self.shadow = shadow if shadow is not None else Shadow()
        """What mirrored requests said."""
        self.mirror = Mirror(config, router, self.shadow, loop.time)
        """Makes them."""

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "WebSockets are not carried"})
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not spoken here")
        cut = scope.get("state", {}).get("agt_cut", _nothing)
        answer: OwnAnswer | None = None
        try:
            asked = self._understand(scope, cut)
            answer = await self._answer(asked, receive, send)
        except Refused as error:
            answer = refusal(error)
        if answer is not None:
            expects = first(scope["headers"], b"expect") is not None
            await answer.give(send, close=expects, head_only=scope["method"] == "HEAD")

    async def run(self) -> None:
        """Mirror, and forget what is idle, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.mirror.run())
                while True:
                    await asyncio.sleep(1.0)
                    self.callers.sweep(self._clock())
                    for pool in self._pools.values():
                        pool.tidy()
        finally:
            for pool in self._pools.values():
                pool.close()

    # Understanding

    def _understand(self, scope: Mapping[str, Any], cut: Callable[[], None]) -> Asked:
        """Return what is asked, or refuse it in words."""
        headers: RawHeaders = scope["headers"]
        method, path, raw_path = scope["method"], scope["path"], scope["raw_path"]
        if sum(len(name) + len(value) for name, value in headers) > self.config.listen.headers_max_bytes:
            # The parser bounds what is not yet whole; a head that came in one piece may be longer.
            limit = self.config.listen.headers_max_bytes
            says = f"the head of the request is larger than {limit} bytes"
            raise Refused(431, "large_head", says, "send less; listen.headers_max_bytes is the limit")
        problem = framing_problem(headers)
        if problem:
            raise Refused(400, "bad_framing", problem, "send one of them")
        if wants_websocket(headers) or method == "CONNECT":
            what = "CONNECT" if method == "CONNECT" else "WebSockets"
            hint = "connect to the service itself; moving live connections is the router's work, not this adapter's"
            raise Refused(501, "not_carried", f"{what} are not carried here", hint)
        if not raw_path.startswith(b"/") and raw_path != b"*":
            raise Refused(
                400, "bad_target", "the request's target is no path", "ask for /path, and name the host in Host"
            )
        if self.books.under_way >= self.config.limits.requests_max:
            limit = self.config.limits.requests_max
            says = f"{limit} requests are under way already"
            raise Refused(503, "crowded", says, "try again; limits.requests_max is the limit", retry_after_s=1)
        length, body_max = first(headers, b"content-length"), self.config.limits.body_max_bytes
        if 0 < body_max < int(length or 0):
            raise too_large(body_max)
        try:
            caller = self._keys.of(path, scope["query_string"], headers)
        except KeyAmbiguous as error:
            raise Refused(400, "ambiguous_key", str(error), "name one") from error
        query = scope["query_string"]
        client = scope.get("client")
        return Asked(
            method=method,
            path=path,
            target=raw_path + (b"?" + query if query else b""),
            headers=headers,
            caller=caller,
            treatment=self._rules.of(method, path),
            body=body_announced(headers),
            host=client[0] if client else "",
            scheme=scope["scheme"],
            cut=cut,
        )

    def _place(self, asked: Asked) -> str:
        """Return the runtime that a request belongs to now."""
        if not asked.caller.name:
            return self._router.runtimes.control
        return self._router.belongs(asked.caller.name, component=asked.treatment.component)

    def _retirement(self, asked: Asked, runtime: str) -> Retirement | None:
        effective = self._router.effective
        listener = effective.runtime.legacy_listener if effective is not None else "serve"
        return self._retirements.of(asked.method, asked.path, runtime, listener=listener)

    # Answering

    async def _answer(self, asked: Asked, receive: Receive, send: Send) -> OwnAnswer | None:
        """Answer a request; returns an answer of our own where there is no other and none has begun."""
        caller = asked.caller
        known = self.callers.meet(caller.name, self._clock()) if caller.lasting else None
        runtime = self._place(asked)
        if caller.set_cookie:
            asked.added.append((b"set-cookie", caller.set_cookie))
        retirement = self._retirement(asked, runtime)
        if retirement is not None:
            self.retired["gone" if retirement.gone else "deprecated"] += 1
            asked.added += retirement.headers
            if retirement.gone:
                return OwnAnswer(410, retirement.body, tuple(asked.added))
        account = self.books.open(caller.name, known, runtime, deadline_s=asked.treatment.answer_s)
        recording = self.mirror.recording(asked, runtime)
        ending = Ending()
        try:
            await self._carry(asked, account, recording, receive, send)
            ending = Ending.of_answer(account.status)
        except UpstreamFailure as error:
            ending = Ending(Outcome.INDETERMINATE if error.sent else Outcome.NOT_DELIVERED, error.says)
            if not asked.started:
                return unanswered(error, account.runtime, show=self.config.show_runtime)
            await _cut(asked)
        except CallerGone as error:
            # A runtime that had begun to answer did its part.
            ending = Ending.of_answer(account.status, whole=False) if account.status else Ending(reason=str(error))
            self.books.callers_gone[account.runtime] += 1
            await _cut(asked)
        except Refused as error:
            ending = Ending(reason=error.says)
            if not asked.started:
                raise
            await _cut(asked)
        finally:
            account.end(ending.outcome, ending.reason, now=self._clock())
            if recording is not None:
                recording.finish(account.number, account.runtime, whole=ending.whole)
        return None

    async def _carry(
        self, asked: Asked, account: Account, recording: Recording | None, receive: Receive, send: Send
    ) -> None:
        """Carry a request to a runtime that answers it: where it belongs, or control where that is allowed."""
        fresh = False
        for left in reversed(range(PLACED_MAX)):
            pool = self._pools[account.runtime]
            try:
                connection = await pool.take(fresh=fresh)
            except UpstreamFailure as error:
                if left and self._elsewhere(asked, account, error):
                    continue
                raise
            if left and self._moved(asked, account):
                pool.give(connection)
                continue
            exchange = self._exchange(asked, connection, recording, receive)
            try:
                head = await exchange.head(self._request(asked, pool), body=asked.body)
                await self._pass_on(asked, account, exchange, head, recording, send)
            except UpstreamFailure as error:
                if asked.started or exchange.body_begun or not left:
                    raise
                # An idle connection that the service closed at this very moment is nobody's fault.
                fresh = connection.reused and error.code == Broken.code and asked.treatment.reads and not fresh
                if not fresh and not self._elsewhere(asked, account, error):
                    raise
            else:
                return
            finally:
                exchange.close()
                pool.give(connection)

    def _exchange(
        self, asked: Asked, connection: Connection, recording: Recording | None, receive: Receive
    ) -> Exchange:
        treatment = asked.treatment
        patience = Patience(
            answer_s=treatment.answer_s, idle_s=treatment.idle_s, body_max=self.config.limits.body_max_bytes
        )
        return Exchange(connection, receive, patience, cut=asked.cut, tap=recording)

    def _request(self, asked: Asked, pool: Pool) -> h11.Request:
        headers = upstream_headers(
            asked.headers,
            caller=asked.host,
            scheme=asked.scheme,
            trusted=self.config.trust_forwarded,
            authority=pool.address.authority,
        )
        return h11.Request(method=asked.method, target=pool.target(asked.target), headers=headers)

    async def _pass_on(
        self,
        asked: Asked,
        account: Account,
        exchange: Exchange,
        head: h11.Response,
        recording: Recording | None,
        send: Send,
    ) -> None:
        account.answered(head.status_code, self._clock())
        headers = caller_headers([(bytes(name), bytes(value)) for name, value in head.headers])
        if recording is not None:
            recording.answer_head(head.status_code, headers)
        headers += asked.added
        if self.config.show_runtime:
            headers.append((RUNTIME, account.runtime.encode("latin-1", "replace")))
        asked.started = True
        await send({"type": "http.response.start", "status": head.status_code, "headers": headers})
        await exchange.stream(send)

    def _moved(self, asked: Asked, account: Account) -> bool:
        """Take a request along when its caller has moved while it waited; nothing of it was sent."""
        runtime = self._place(asked)
        if runtime == account.runtime or asked.fell_back:
            return False
        account.cross(runtime)
        return True

    def _elsewhere(self, asked: Asked, account: Account, error: UpstreamFailure) -> bool:
        """Send a request that got no answer to control, where that can't double anything and is allowed."""
        control = self._router.runtimes.control
        if not error.sent and self._moved(asked, account):
            return True
        if account.runtime == control or self.config.fallback == "off":
            return False
        unsent = not error.sent and self.config.fallback == "unsent"
        reads = asked.treatment.reads and not asked.body
        if not unsent and not reads:
            return False
        asked.fell_back = True
        account.cross(control)
        return True


def _pool(config: HttpConfig, name: str) -> Pool:
    upstream = config.upstreams[name]
    return Pool(
        Address.parse(upstream.url),
        connections_max=upstream.connections_max,
        waiting_max=upstream.waiting_max,
        connect_s=upstream.connect_s,
        keep_alive_s=upstream.keep_alive_s,
        headers_max=config.listen.headers_max_bytes,
        rewrite=upstream.rewrite,
    )


async def _cut(asked: Asked) -> None:
    """End the caller's connection, so that it can't take a broken-off answer for a whole one."""
    asked.cut()
    await asyncio.sleep(0)  # One turn, in which the server notices.


def _nothing() -> None:
    pass
