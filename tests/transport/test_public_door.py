"""What `import agt.transport` offers and what it costs."""

import importlib
import subprocess
import sys

import pytest

import agt.transport
import agt.transport.testing

PUBLIC = (
    "AckLevel",
    "AdmissionLimits",
    "BadCredential",
    "Barrier",
    "Closed",
    "ConfigInvalid",
    "ConnectBudget",
    "Connection",
    "ConnectionUnavailable",
    "DeadLetters",
    "Delivered",
    "Delivery",
    "DeliveryBatch",
    "Dropped",
    "Event",
    "KernelWay",
    "KeyFile",
    "KeyRing",
    "LegacyTransport",
    "LegacyUse",
    "Link",
    "MessageTooLarge",
    "MetricGroups",
    "MoveKind",
    "NativeNames",
    "Observed",
    "Opened",
    "Outcome",
    "Outgoing",
    "Overflow",
    "PeerViolation",
    "PreSharedKey",
    "Probe",
    "ProbeLimits",
    "QueueFull",
    "Received",
    "ReceivedBatch",
    "ReceivedMessage",
    "Recogniser",
    "Refusal",
    "RefusedMessage",
    "ReliableConfig",
    "ReliableListener",
    "ReliableTransport",
    "Session",
    "SessionWithdrawal",
    "Settled",
    "SniffingListener",
    "TCPConnection",
    "TLSConnection",
    "Timers",
    "TransportConfig",
    "TransportError",
    "TransportMetrics",
    "UnixConnection",
    "UsageError",
    "Way",
    "WireListener",
    "WireTraits",
    "Withdrawal",
    "__version__",
    "begins_with",
    "commit_batch",
    "deprecated",
    "legacy_uses",
    "load_config",
    "new_runtime_nonce",
    "tls_client_context",
    "tls_server_context",
    "write_key_file",
)
"""Checked in, so that a change of the public names is a visible diff."""

FORBIDDEN = ("prometheus_client", "textual", "starlette", "uvicorn", "watchfiles", "httpx", "typer", "nats", "trio")


def test_the_public_names_are_the_ones_that_were_agreed():
    """Adding or removing a name is a decision, made here."""
    assert agt.transport.__all__ == PUBLIC


@pytest.mark.parametrize("module", ["agt.transport", "agt.transport.testing"])
def test_all_is_sorted_and_says_what_is_there(module: str):
    """Every name in `__all__` exists, and every public name that the door imports is in it."""
    door = importlib.import_module(module)
    assert list(door.__all__) == sorted(door.__all__)
    assert all(hasattr(door, name) for name in door.__all__)
    if module == "agt.transport":
        ours = {
            name
            for name, value in vars(door).items()
            if not name.startswith("_") and getattr(value, "__module__", "").startswith("agt.transport")
        }
        assert ours <= set(door.__all__)


def test_everything_public_has_a_docstring():
    """The reference is made from docstrings."""
    missing = [name for name in agt.transport.__all__ if not getattr(agt.transport, name).__doc__]
    assert missing == []


def test_importing_the_transport_loads_anyio_msgspec_and_the_standard_library_only():
    """A controller that needs nothing else pays for nothing else; seen in a process of its own."""
    code = (
        "import sys; before = set(sys.modules); import agt.transport;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name for name in loaded if name not in sys.stdlib_module_names}
    assert foreign <= {"agt", "anyio", "msgspec", "idna", "sniffio", "typing_extensions", "exceptiongroup"}
    assert not foreign & set(FORBIDDEN)
    assert "sqlite3" not in loaded  # Only who brings an outbox or an inbox loads a database.


def test_importing_the_durable_door_loads_sqlite_and_nothing_else_of_others():
    """It comes with Python; whoever keeps an inbox in a database of their own pays for no other."""
    code = (
        "import sys, agt.transport; before = set(sys.modules); import agt.transport.durable;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if name not in sys.stdlib_module_names} <= {"agt", "anyio"}
    assert "sqlite3" in loaded


def test_without_prometheus_client_the_error_names_the_extra():
    """An extra that is missing says which one it is."""
    code = "import sys; sys.modules['prometheus_client'] = None\nimport agt.transport.metrics"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "agt-migrate[metrics]" in run.stderr.splitlines()[-1]
