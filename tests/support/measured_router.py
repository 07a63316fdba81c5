"""A router that says what a test wants, on a real socket: status and metrics, and nothing else of a router."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agt.router.serving import serve


@dataclass
class MeasuredRouter:
    """What it says; change it as the test goes."""

    name: str = "r1"
    delivered: int = 0
    failed: int = 0
    resent: int = 0
    slow: int = 0
    """Of the delivered, those that took 0.9 s and not 0.05 s."""
    carried: dict[str, float] = field(default_factory=dict)
    devices: int = 3

    def page(self) -> str:
        """Its metrics."""
        new = 'transport="new"'
        fast = self.delivered - self.slow
        lines = [
            f'agt_router_info{{router="{self.name}"}} 1',
            f'agt_ledger_messages_total{{{new},outcome="delivered"}} {self.delivered}',
            f'agt_ledger_messages_total{{{new},outcome="not_delivered"}} {self.failed}',
            f'tcp_comm_packet_sent_total{{{new},outcome="delivered"}} {self.delivered}',
            f"tcp_comm_retry_attempts_total{{{new}}} {self.resent}",
            f'agt_group_ended_total{{{new},group="0"}} {self.delivered + self.failed}',
            f'agt_group_failed_total{{{new},group="0"}} {self.failed}',
            f'agt_group_slow_total{{{new},group="0",seconds="0.8"}} {self.slow}',
            f'agt_group_slow_total{{{new},group="0",seconds="1.5"}} 0',
        ]
        buckets = {"0.1": fast, "0.8": fast, "1": self.delivered, "+Inf": self.delivered}
        lines += [f'tcp_comm_packet_latency_seconds_bucket{{{new},le="{le}"}} {n}' for le, n in buckets.items()]
        lines += [
            f'agt_route_carried_seconds{{router="{self.name}",generation="{generation}"}} {seconds}'
            for generation, seconds in self.carried.items()
        ]
        return "\n".join([*lines, ""])

    def status(self) -> dict[str, object]:
        """Its own account."""
        runtimes = {"new": {"devices": self.devices, "in_flight": 0, "queued": 0}}
        return {"router": self.name, "generation": 1, "carried_s": {"1": 999.0}, "runtimes": runtimes}


@asynccontextmanager
async def serving(router, path):
    """Serve it on a Unix socket."""

    async def status(_):
        return Response(msgspec.json.encode(router.status()), media_type="application/json")

    async def metrics(_):
        return PlainTextResponse(router.page())

    app = Starlette(routes=[Route("/status", status), Route("/metrics", metrics)])
    async with anyio.create_task_group() as group:
        await group.start(serve, app, path)
        yield
        group.cancel_scope.cancel()
