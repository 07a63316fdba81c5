"""Measurements: scraped from the routers, kept as windows, read as the numbers that gates name."""

from agt.supervisor.measure._exposition import ExpositionError, Sample, parse_exposition
from agt.supervisor.measure._prometheus import PrometheusServer, ask_routers, measure_all
from agt.supervisor.measure._prometheus_answer import AnswerUnusable, RouterMeasured
from agt.supervisor.measure._promql import expression
from agt.supervisor.measure._quantiles import quantile, slower_than, with_in_flight
from agt.supervisor.measure._reading import Reading
from agt.supervisor.measure._readings import Readings
from agt.supervisor.measure._sample import RouterSample, RuntimeCounters, RuntimeGauges, ShadowCounters, read_sample
from agt.supervisor.measure._scrape import RouterSeen, RouterStatus, scrape, scrape_all
from agt.supervisor.measure._tcp_http import split_address
from agt.supervisor.measure._timeline import Timeline, Window
from agt.supervisor.measure._unix_http import RequestFailed, Response, request

__all__ = (
    "AnswerUnusable",
    "ExpositionError",
    "PrometheusServer",
    "Reading",
    "Readings",
    "RequestFailed",
    "Response",
    "RouterMeasured",
    "RouterSample",
    "RouterSeen",
    "RouterStatus",
    "RuntimeCounters",
    "RuntimeGauges",
    "Sample",
    "ShadowCounters",
    "Timeline",
    "Window",
    "ask_routers",
    "expression",
    "measure_all",
    "parse_exposition",
    "quantile",
    "read_sample",
    "request",
    "scrape",
    "scrape_all",
    "slower_than",
    "split_address",
    "with_in_flight",
)
