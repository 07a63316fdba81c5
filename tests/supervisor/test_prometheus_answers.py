"""Measurements by PromQL without a server: what is asked, what is made of an answer, and what an unusable one is."""

import json
import math
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.cli._show import _router_line
from agt.supervisor.measure import (
    AnswerUnusable,
    PrometheusServer,
    RouterSample,
    RouterSeen,
    RouterStatus,
    Sample,
    expression,
    measure_all,
    split_address,
)
from agt.supervisor.measure._prometheus_answer import SERIES_MAX, read_vector, routers_measured
from agt.supervisor.measure._promql import quoted, router_query, series_query
from agt.supervisor.rollout import PlanInvalid, parse_plan
from agt.supervisor.rollout._views import router_views
from support.measured_router import MeasuredRouter, serving

AT = {"job": "agt", "instance": "gateway.sock"}
SENT = {"__name__": "tcp_comm_packet_sent_total", "transport": "new", "outcome": "delivered"}


def vector(*series: tuple[dict[str, str], float]) -> bytes:
    """An answer as the server writes it."""
    result = [{"metric": labels, "value": [1000.0, str(value)]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def known(age_s: float, **labels: str) -> Sample:
    """One row of the answer to `router_query`."""
    return Sample("", {**AT, "router": "r1", **labels}, age_s)


def sent(count: float, **labels: str) -> Sample:
    """A count of packets of one target."""
    return Sample("tcp_comm_packet_sent_total", {**AT, "transport": "new", "outcome": "delivered", **labels}, count)


def test_queries_narrow_down_to_the_plans_own_series():
    """Matchers stand in both queries, beside the names."""
    assert router_query('job="agt"') == 'time() - timestamp(agt_router_info{job="agt"})'
    query = series_query('job="agt"')
    assert query.startswith('{__name__=~"agt_devices|')
    assert query.endswith('", job="agt"}')


def test_expressions_count_what_gates_count():
    """Quantiles from buckets, outcomes from the ledger, replies where only those are observed."""
    buckets = 'tcp_comm_packet_latency_seconds_bucket{transport="new"}'
    assert expression("p99_seconds", "new", "5m") == (
        f"histogram_quantile(0.99, sum by (le) (increase({buckets}[5m])))"
    )
    observed = expression("success_ratio", "old", "1h", observed=True)
    assert "agt_observed_replies_total" in observed
    assert "agt_ledger" not in observed
    assert expression("packet_loss", "new", "1h", matchers='job="x"').count('job="x"') == 3


@given(st.text(max_size=20))
def test_quoted_values_are_one_string_whatever_they_hold(value: str):
    """No name of a runtime can end the string that it stands in."""
    inner = quoted(value)[1:-1]
    assert "\n" not in inner
    assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0


def test_counts_are_dated_by_their_age_and_our_own_clock():
    """The server's clock is never compared with ours; a series of another target is not this router's."""
    found = routers_measured([known(15.0)], [sent(7.0), sent(9.0, instance="other")], now=5000.0)
    assert list(found) == ["r1"]
    assert (found["r1"].sample.at, found["r1"].sample.counters["new"].sent) == (4985.0, 7.0)


def test_youngest_of_two_targets_that_are_one_router_counts():
    """A target that was renamed leaves its old series behind for a while; they are not added."""
    old = {"instance": "before"}
    found = routers_measured([known(2.0), known(200.0, **old)], [sent(7.0), sent(5.0, **old)], now=5000.0)
    assert (found["r1"].age_s, found["r1"].sample.counters["new"].sent) == (2.0, 7.0)


def test_soak_is_what_the_server_has_seen_carried():
    """By generation, and of this instance only."""
    carried = [
        Sample("agt_route_carried_seconds", {**AT, "router": router, "generation": "3"}, seconds)
        for router, seconds in (("r1", 40.0), ("r0", 90.0))
    ]
    assert routers_measured([known(1.0)], carried, now=1.0)["r1"].carried_s == {"3": 40.0}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "can't be read"),
        (b'{"status": "error", "error": "parse error"}', "parse error"),
        (b'{"status": "success", "data": {"resultType": "matrix", "result": []}}', "matrix"),
        (b'{"status": "success", "data": {"resultType": "vector", "result": [1]}}', "can't be read"),
        (b'{"status": "success", "data": {"resultType": "vector", "result": ' + b"[" * 9999, "can't be read"),
        (vector(({}, 1.0)).replace(b'"1.0"', b'"one"'), "can't be read"),
    ],
)
def test_answer_that_is_no_vector_is_refused(body: bytes, says: str):
    """Whatever a server says, it is one kind of error with a reason."""
    with pytest.raises(AnswerUnusable, match=says):
        read_vector(body)


def test_answer_with_too_many_series_is_refused_before_it_is_converted():
    """A label per device would be a hundred thousand of them."""
    rows = b",".join([b"1"] * (SERIES_MAX + 1))
    body = b'{"status": "success", "data": {"resultType": "vector", "result": [' + rows + b"]}}"
    with pytest.raises(AnswerUnusable, match="label per device"):
        read_vector(body)


def test_numbers_are_read_as_the_server_writes_them():
    """Infinity and no number at all included."""
    first, last = read_vector(vector(({**SENT, "le": "+Inf"}, math.inf), (SENT, math.nan)))
    assert (first.name, first.value) == ("tcp_comm_packet_sent_total", math.inf)
    assert math.isnan(last.value)


@pytest.mark.parametrize(
    "url", ["", "localhost:9090", "ftp://a", "http://", "http://u:p@a", "http://a?x=1", "http://a:b"]
)
def test_address_that_is_none_is_refused(url: str):
    """Passwords and queries don't belong into it either."""
    with pytest.raises(ValueError, match=r".+"):
        split_address(url)


def test_plan_check_names_what_is_wrong_with_measure():
    """The address and its companions are problems with their key paths, all at once."""
    text = 'schema = 1\nname = "x"\n[runtimes]\ncontrol = "a"\ncandidate = "b"\n[[phase]]\nname = "p"\nsoak = "1s"\n'
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(f'{text}[measure]\nprometheus = "nine"\nmatchers = "{{a}}"\nmax_age = "0s"\n')
    assert {problem.path for problem in caught.value.problems} == {
        "measure.prometheus",
        "measure.matchers",
        "measure.max_age",
    }
    with pytest.raises(PlanInvalid, match="none is named"):
        parse_plan(f"{text}[measure]\nmatchers = 'job=\"agt\"'\n")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_server_that_is_not_there_leaves_no_counts_and_a_reason(tmp_path):
    """The router's status is known, its counts are not, and what was carried doesn't count."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    path = tmp_path / "g.sock"
    async with serving(MeasuredRouter(), path):
        (seen,) = await measure_all(PrometheusServer(url), {"gateway.sock": path}, at=1.0, timeout_s=2.0)
    assert seen.status is not None
    assert (seen.sample, seen.status.carried_s) == (None, {})
    assert seen.error == f"Prometheus at {url} can't be reached"


@pytest.mark.parametrize(
    "metric", ["success_ratio", "failure_ratio", "samples", "p50_seconds", "packet_loss", "queue_full_ratio"]
)
def test_every_metric_of_the_traffic_has_an_expression(metric: str):
    """What a gate can ask of traffic an operator can ask of Prometheus."""
    assert "increase(" in expression(metric, "new", "5m")


def test_status_says_whose_figures_are_old_or_missing():
    """A router that answers and isn't measured is marked, with the reason; an age is shown where there is one."""
    status = RouterStatus(router="r1", generation=3, settled_generation=3)
    away = RouterSeen(socket="gateway.sock", status=status, error="Prometheus at x can't be reached")
    old = RouterSeen(socket="gateway.sock", status=status, sample=RouterSample(router="r1", at=1.0), age_s=12.0)
    first, second = router_views([away, old])
    assert _router_line(first).startswith("! gateway.sock: generation 3, settled, 0 devices, NOT MEASURED: Prometheus")
    assert _router_line(second) == "  gateway.sock: generation 3, settled, 0 devices, figures 12 s old"
