"""Prometheus metrics of a router; needs `pip install agt-migrate[metrics]`."""

from agt.router._metrics import RouterCollector

__all__ = ("RouterCollector",)
