"""The same selector in front of two HTTP services: an ASGI application that sends each request to one of them.

Needs `pip install agt-migrate[router]`, and asyncio. `agt http --config http.toml` is the whole of it as a process;
`HttpAdapter` is for those who serve it themselves.
"""

from agt.router.http._adapter import HttpAdapter
from agt.router.http._address import Address
from agt.router.http._config import (
    Files,
    HttpConfig,
    KeySource,
    Limits,
    Listen,
    Mirroring,
    Retired,
    RouteRule,
    Upstream,
)
from agt.router.http._config_file import HttpConfigInvalid, load_http_config, parse_http_config
from agt.router.http._run import default_folder, run_http, serve_all
from agt.router.http._server import serve_http
from agt.router.http._status import HttpCollector, HttpStatus, http_routes, http_status

__all__ = (
    "Address",
    "Files",
    "HttpAdapter",
    "HttpCollector",
    "HttpConfig",
    "HttpConfigInvalid",
    "HttpStatus",
    "KeySource",
    "Limits",
    "Listen",
    "Mirroring",
    "Retired",
    "RouteRule",
    "Upstream",
    "default_folder",
    "http_routes",
    "http_status",
    "load_http_config",
    "parse_http_config",
    "run_http",
    "serve_all",
    "serve_http",
)
