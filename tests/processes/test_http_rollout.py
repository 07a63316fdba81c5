"""A rollout in front of two HTTP services: all is started, gates pass on requests alone, a kill takes it back."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

SERVICE = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b'{"price": 1.5}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "caller"
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 100
Server(sys.argv[1], Handler).serve_forever()
"""

PLAN = """
schema = 1
name = "http"
checks_every = "1s"
runtimes = {{ control = "v1", candidate = "v2" }}
[[component]]
name = "v1"
stage = "sources"
command = [{python}, "{run}/service.py", "{run}/v1.sock"]
readiness = {{ by = "unix", socket = "v1.sock" }}
[[component]]
name = "v2"
stage = "sources"
command = [{python}, "{run}/service.py", "{run}/v2.sock"]
readiness = {{ by = "unix", socket = "v2.sock" }}
[[component]]
name = "gateway"
stage = "gateway"
command = [{python}, "-m", "agt.supervisor.cli", "http", "--config", "{run}/http.toml"]
[[phase]]
name = "shadow"
route = {{ percent = 0, shadow = "candidate" }}
soak = "1s"
gate = [{{ metric = "shadow_compared", at_least = 20 }}, {{ metric = "shadow_differences", at_most = 0 }}]
[[phase]]
name = "canary-50"
route = {{ percent = 50 }}
soak = "1s"
gate = [{{ metric = "success_ratio", at_least = 0.99 }}, {{ metric = "samples", at_least = 20 }}]
[[phase]]
name = "cutover"
route = {{ percent = 100 }}
soak = "1h"
"""

CONFIG = """
runtimes = {{ control = "v1", candidate = "v2" }}
listen = {{ address = "unix:{run}/http.sock" }}
upstreams = {{ v1 = {{ url = "unix:{run}/v1.sock" }}, v2 = {{ url = "unix:{run}/v2.sock" }} }}
key = [{{ header = "x-device" }}]
"""


@contextmanager
def load(path: Path) -> Iterator[Counter[tuple[str, int]]]:
    """Ask without pause until the block ends; counts runtime and status of each answer."""
    ends: Counter[tuple[str, int]] = Counter()
    enough = threading.Event()

    def ask() -> None:
        transport = httpx.HTTPTransport(uds=str(path), verify=False)
        with httpx.Client(transport=transport, base_url="http://front", verify=False) as client:
            number = 0
            while not enough.wait(0.005):
                answer = client.get("/", headers={"x-device": f"d{number % 40}"})
                ends[answer.headers["x-agt-runtime"], answer.status_code] += 1
                number += 1

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        yield ends
    finally:
        enough.set()
        caller.join()


@pytest.mark.soak
def test_a_rollout_of_http_services_goes_through_and_back(up, agt, run, eventually) -> None:
    """Shadow, canary and cut-over by their gates, on requests alone; then a kill, and not one answer was bad."""
    fields = {"run": run, "python": json.dumps(sys.executable)}
    (run / "service.py").write_text(SERVICE)
    (run / "plan.toml").write_text(PLAN.format(**fields))
    (run / "http.toml").write_text(CONFIG.format(**fields))
    supervisor = up(run / "plan.toml")
    eventually(lambda: supervisor.all_ready)
    with load(run / "http.sock") as ends:
        eventually(lambda: supervisor.control.view().phases[2].state == "active")
        seen = ends["v2", 200]
        eventually(lambda: ends["v2", 200] > seen + 50)
        status, said, _ = agt("kill-switch", "on", "--reason", "test")
        assert status == 0, said
        seen = ends["v1", 200]
        eventually(lambda: ends["v1", 200] > seen + 50)
    assert set(ends) == {("v1", 200), ("v2", 200)}
    assert agt("down")[0] == 0
    assert supervisor.wait()[0] == 0
