"""An answer over HTTP or HTTPS, on TCP or a Unix socket. httpx is imported when the first one is asked for.

Redirects aren't followed, proxies of the environment aren't used and nothing is unpacked: the server that was named
answers, and at most as many bytes as allowed. A header `env:NAME` takes its value from that variable, so that tokens
need not stand in files.
"""

import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from agt.router.parity._json import to_json
from agt.router.parity._source import Answer, Call, Limits, SourceFailed
from agt.router.parity._values import ABSENT, shown

if TYPE_CHECKING:
    import httpx


class HttpSource:
    """Sends one request for each answer."""

    def __init__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str = "",
        unix: str = "",
        limits: Limits | None = None,
    ) -> None:
        self._url, self._method, self._headers, self._body, self._unix = url, method, dict(headers or {}), body, unix
        self._limits = limits or Limits()
        self._tls: ssl.SSLContext | None = None
        parts = urlsplit(url)
        place = f"{shown(unix)} {parts.path or '/'}" if unix else f"{parts.hostname}{_port(url)}{parts.path or '/'}"
        self.name = f"{parts.scheme} {place}"
        """What messages call it: no user, no query."""

    async def ask(self, call: Call | None = None) -> Answer:
        """Send the request and take its answer, whatever its status.

        Raises:
            SourceFailed: when the server doesn't answer in time and size.
        """
        import httpx  # noqa: PLC0415 - 180 ms, and only this kind of source needs it.

        try:
            with anyio.fail_after(self._limits.timeout_s):
                async with self._client() as client:
                    request, started = self._request(client, call), anyio.current_time()
                    status, data = await self._exchange(client, request)
        except (TimeoutError, httpx.TimeoutException):
            raise SourceFailed(self.name, f"doesn't answer within {self._limits.timeout_s:g} s") from None
        except httpx.ConnectError as error:
            raise SourceFailed(self.name, f"can't be reached: {_short(error)}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SourceFailed(self.name, f"can't be asked: {_short(error)}") from None
        return Answer(data=data, status=status, took_s=anyio.current_time() - started)

    def _client(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 - as above.

        if self._tls is None:
            # Made once: loading the authorities takes longer than most answers. Plain HTTP needs none.
            https = self._url.startswith("https:")
            self._tls = ssl.create_default_context() if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=self._unix, verify=self._tls) if self._unix else None,
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            timeout=self._limits.timeout_s,
        )

    def _request(self, client: "httpx.AsyncClient", call: Call | None) -> "httpx.Request":
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {name: self._header(value) for name, value in self._headers.items()}
        content = self._body.encode() or None
        method, url = self._method, self._url
        if call is not None:
            url = url.rstrip("/") + call.path if call.path else url
            if call.body is not ABSENT:
                content = to_json(call.body)
            method = call.method or (self._method if self._method != "GET" or content is None else "POST")
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        return client.build_request(method, url, headers=headers, content=content)

    async def _exchange(self, client: "httpx.AsyncClient", request: "httpx.Request") -> tuple[int, bytes]:
        response = await client.send(request, stream=True)
        try:
            packed = response.headers.get("content-encoding", "identity")
            if packed.lower() != "identity":
                raise SourceFailed(self.name, f"answers packed ({shown(packed)}), which was not asked for")
            received = await self._read(response)
        finally:
            await response.aclose()
        if len(received) > self._limits.max_bytes:
            raise SourceFailed(self.name, f"answers more than {self._limits.max_bytes} bytes")
        return response.status_code, bytes(received)

    async def _read(self, response: "httpx.Response") -> bytearray:
        import httpx  # noqa: PLC0415 - as above.

        received = bytearray()
        try:
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > self._limits.max_bytes:
                    # Closed under the loop, which then ends by itself: leaving it would leave httpx's own
                    # generators behind unfinished.
                    await response.aclose()
        except httpx.HTTPError:
            if len(received) <= self._limits.max_bytes:
                raise
        return received

    def _header(self, value: str) -> str:
        if not value.startswith("env:"):
            return value
        name = value.removeprefix("env:")
        found = os.environ.get(name)
        if found is None:
            raise SourceFailed(self.name, f"needs the variable {name}, which is not set")
        return found


def _port(url: str) -> str:
    port = urlsplit(url).port
    return f":{port}" if port else ""


def _short(error: Exception) -> str:
    return shown(str(error) or type(error).__name__)
