"""Measurements: scraped from the routers, kept as windows, read as the numbers that gates name."""

from agt.supervisor.measure._exposition import ExpositionError, Sample, parse_exposition
from agt.supervisor.measure._quantiles import quantile, slower_than, with_in_flight
from agt.supervisor.measure._reading import Reading
from agt.supervisor.measure._readings import Readings
from agt.supervisor.measure._sample import RouterSample, RuntimeCounters, RuntimeGauges, ShadowCounters, read_sample
from agt.supervisor.measure._scrape import RouterSeen, RouterStatus, scrape, scrape_all
from agt.supervisor.measure._timeline import Timeline, Window
from agt.supervisor.measure._unix_http import RequestFailed, Response, request

__all__ = (
    "ExpositionError",
    "Reading",
    "Readings",
    "RequestFailed",
    "Response",
    "RouterSample",
    "RouterSeen",
    "RouterStatus",
    "RuntimeCounters",
    "RuntimeGauges",
    "Sample",
    "ShadowCounters",
    "Timeline",
    "Window",
    "parse_exposition",
    "quantile",
    "read_sample",
    "request",
    "scrape",
    "scrape_all",
    "slower_than",
    "with_in_flight",
)
