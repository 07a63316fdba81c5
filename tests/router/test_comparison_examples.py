"""The files under `examples/` for documents 000, 001 and 003 say what the documents say, and can be read."""

from pathlib import Path

from agt.router.parity import load_parity
from agt.router.regression import load_suite

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_document_001_compares_panes_and_sessions() -> None:
    """By key and signature fields, on the two daemons' sockets."""
    panes, sessions = load_parity(EXAMPLES / "parity" / "agtmux.toml")
    assert panes.projection.fields == ("evidence_mode", "pane_presence")
    assert (panes.control.unix, panes.control.send) == ("/tmp/agtmux-v4.sock", "list_panes")
    assert (sessions.control.send, sessions.projection.max_age_s) == ("list_sessions", 60)


def test_document_003_sends_fifty_predictions() -> None:
    """With its limits."""
    loaded = load_suite(EXAMPLES / "suites" / "cohortlens.toml").suite
    assert (loaded.calls, loaded.at_least) == (50, 50)
    assert (loaded.limits.mean_delta, loaded.limits.max_delta) == (0.05, 0.10)


def test_document_000_runs_both_suites_twice_with_equal_seeds() -> None:
    """And asks for 98 % determinism."""
    loaded = load_suite(EXAMPLES / "suites" / "regression-core.toml").suite
    assert [request.name for request in loaded.requests] == ["regression_core", "boundary_conditions"]
    assert (loaded.repeats, loaded.limits.determinism, len(loaded.invariants)) == (2, 0.98, 2)
