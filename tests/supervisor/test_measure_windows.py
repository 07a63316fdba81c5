"""Measurements: the text format, windows over restarts, quantiles with what is in flight, and real sockets."""

import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.measure import (
    ExpositionError,
    Readings,
    RequestFailed,
    RouterSample,
    RuntimeCounters,
    RuntimeGauges,
    Timeline,
    parse_exposition,
    quantile,
    read_sample,
    request,
    scrape,
    slower_than,
    with_in_flight,
)

PAGE = """# HELP tcp_comm_packet_sent_total Packets.
# TYPE tcp_comm_packet_sent_total counter
tcp_comm_packet_sent_total{transport="new",outcome="delivered"} 7.0
tcp_comm_packet_sent_total{transport="new",outcome="not_delivered"} 3.0
agt_ledger_messages_total{transport="new",outcome="delivered"} 7.0
agt_ledger_messages_total{transport="new",outcome="delivered"} 7.0
tcp_comm_packet_latency_seconds_bucket{transport="new",le="0.1"} 4
tcp_comm_packet_latency_seconds_bucket{transport="new",le="+Inf"} 7
agt_in_flight_older_than{transport="new",seconds="0.8"} 2
agt_shadow_compared_total 5
unknown_metric{odd="a\\"b\\\\c"} NaN
"""


def test_page_is_read_into_one_sample():
    """Outcomes add up, buckets and limits keep their bounds, a doubled series counts once."""
    sample = read_sample(parse_exposition(PAGE), router="r", at=1.0)
    counters = sample.counters["new"]
    assert (counters.sent, counters.delivered) == (10, 7)
    assert counters.latency == {0.1: 4, math.inf: 7}
    assert (sample.gauges["new"].older_than, sample.shadow.compared) == ({0.8: 2}, 5)


def test_escaped_labels_are_unescaped():
    """Quotes and backslashes in labels survive."""
    *_, last = parse_exposition(PAGE)
    assert last.labels == {"odd": 'a"b\\c'}


@pytest.mark.parametrize("line", ["<html>", 'x{a="1} 2', "x one", "x{a} 1"])
def test_page_that_is_no_exposition_names_its_line(line):
    """Nonsense is refused with the number of its line."""
    with pytest.raises(ExpositionError, match="line 2"):
        list(parse_exposition(f"ok 1\n{line}\n"))


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=30))
def test_window_is_what_was_counted_whatever_restarts(steps):
    """The sum over a window is what the routers counted, for routers that start over at zero at any time."""
    timeline, counter, expected = Timeline(), 0, 0
    timeline.add("s", _sample(0, 0))
    for at, (counted, restarted) in enumerate(steps, start=1):
        if restarted:
            counter = 0
            timeline.add("s", _sample(at - 0.5, 0))
        counter, expected = counter + counted, expected + counted
        timeline.add("s", _sample(at, counter))
    window = timeline.window(start=0)
    assert window is not None
    assert window.of("new").delivered == expected


def test_what_was_counted_before_we_looked_belongs_to_no_window():
    """The first sample of a router is a starting point."""
    timeline = Timeline()
    timeline.add("s", _sample(10, 5000))
    timeline.add("s", _sample(11, 5003))
    window = timeline.window(start=0)
    assert window is not None
    assert window.of("new").delivered == 3


def test_long_timeline_keeps_its_sums_and_stays_bounded():
    """Thinning the older half changes no total."""
    timeline = Timeline()
    for at in range(10_000):
        timeline.add("s", _sample(at, at))
    window = timeline.window(start=0)
    assert window is not None
    assert window.of("new").delivered == 9999
    assert len(timeline._points) <= 4096


def test_in_flight_counts_as_slow_now():
    """Stuck messages enter the histogram above the limit that they have passed."""
    histogram = with_in_flight({0.1: 100, 0.8: 100, math.inf: 100}, {0.5: 10, 0.8: 4})
    assert (histogram[0.1], histogram[0.5], histogram[0.8], histogram[math.inf]) == (100, 100, 106, 110)
    assert slower_than(histogram, 0.8) == 4
    assert quantile(histogram, 0.99) == 0.8
    assert quantile({0.1: 0, math.inf: 0}, 0.5) is None


@given(
    st.dictionaries(st.sampled_from([0.1, 0.5, 0.8, 1.5]), st.integers(0, 99), min_size=1),
    st.dictionaries(st.sampled_from([0.5, 0.8, 1.5, 5.0]), st.integers(0, 99), min_size=1),
    st.floats(0.01, 1),
)
def test_histogram_with_in_flight_stays_cumulative(latency, older, share):
    """However it is mixed, counts never fall with the bound, all messages are in it, and a quantile exists."""
    latency = dict(zip(sorted(latency), sorted(latency.values()), strict=True))
    older = dict(zip(sorted(older), sorted(older.values(), reverse=True), strict=True))
    histogram = with_in_flight(latency, older)
    values = [histogram[bound] for bound in sorted(histogram)]
    assert values == sorted(values)
    assert values[-1] == max(latency.values()) + max(older.values())
    assert values[-1] == 0 or quantile(histogram, share) is not None


def test_stalled_candidate_has_no_success():
    """Delivered of delivered, failed and stuck: a stalled runtime can't look healthy."""
    timeline = Timeline()
    timeline.add("s", _sample(0, 0))
    timeline.add("s", _sample(1, 30, stuck=10))
    readings = Readings(timeline=timeline, now=1, control="old", latency_limit_s=0.8)
    reading = readings.read("success_ratio", "new", start=0)
    assert (reading.value, reading.samples, reading.stuck) == (0.75, 40, 10)
    unobserved = Readings(timeline=timeline, now=1, control="old", latency_limit_s=0.8, control_observed=False)
    assert unobserved.read("success_ratio", "old", start=0).why == "old is not observed"


async def test_router_is_asked_over_its_socket(tmp_path):
    """Status and metrics of a real HTTP server on a Unix socket become one sample."""
    pages = {
        b"/status": b'{"router":"r1","generation":3,"carried_s":{"3":1.5},"new_key":1}',
        b"/metrics": PAGE.encode(),
    }
    async with _serving(tmp_path / "r.sock", pages):
        seen = await scrape(tmp_path / "r.sock", name="r.sock", at=5.0, timeout_s=2.0)
    assert seen.error == ""
    assert seen.status is not None
    assert seen.sample is not None
    assert (seen.status.carried(3), seen.sample.router, seen.sample.at) == (1.5, "r1", 5.0)


@pytest.mark.parametrize("body", [b"not json", b'{"generation": "x"}'])
async def test_router_that_answers_nonsense_is_an_error_in_words(tmp_path, body):
    """What can't be read names the router and raises nothing."""
    async with _serving(tmp_path / "r.sock", {b"/status": body, b"/metrics": b"ok 1"}):
        seen = await scrape(tmp_path / "r.sock", name="r.sock", at=5.0, timeout_s=2.0)
    assert seen.status is None
    assert "r.sock answers what can't be read" in seen.error


async def test_router_that_is_gone_or_hangs_is_bounded(tmp_path):
    """No socket and no answer both end in words, the latter after the timeout."""
    gone = await scrape(tmp_path / "none.sock", name="none.sock", at=0.0, timeout_s=0.2)
    assert "can't be reached" in gone.error
    listener = await anyio.create_unix_listener(tmp_path / "mute.sock")
    async with listener:
        with pytest.raises(RequestFailed, match="doesn't answer within"):
            await request(tmp_path / "mute.sock", "GET", "/status", timeout_s=0.1)


async def test_chunked_and_broken_answers(tmp_path):
    """A chunked body is put together; one that breaks off is refused."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc"
    for raw, wanted in ((chunked, b"abcde"), (broken, None), (b"hello", None)):
        async with _serving(tmp_path / "r.sock", {}, raw=raw):
            if wanted is None:
                with pytest.raises(RequestFailed):
                    await request(tmp_path / "r.sock", "GET", "/")
            else:
                assert (await request(tmp_path / "r.sock", "GET", "/")).body == wanted
        (tmp_path / "r.sock").unlink(missing_ok=True)


def _sample(at, delivered, stuck=0):
    counters = RuntimeCounters(delivered=delivered, latency={0.1: delivered, math.inf: delivered})
    gauges = RuntimeGauges(older_than={0.5: stuck, 0.8: stuck})
    return RouterSample(router="r", at=at, counters={"new": counters}, gauges={"new": gauges})


class _serving:  # noqa: N801 - reads as a verb where it is used
    """A tiny HTTP server on a Unix socket for as long as the block lasts."""

    def __init__(self, path, pages, raw=None):
        self._path, self._pages, self._raw = path, pages, raw

    async def __aenter__(self):
        self._listener = await anyio.create_unix_listener(self._path)
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._listener.serve, self._answer)
        return self

    async def __aexit__(self, *_):
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        await self._listener.aclose()

    async def _answer(self, stream):
        async with stream:
            target = (await stream.receive()).split(b" ")[1]
            body = self._pages.get(target, b"")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            await stream.send(self._raw or head + body)
