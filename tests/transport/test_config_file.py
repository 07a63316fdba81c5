"""Settings from a TOML file: document 004's names, and every mistake said at once, with the nearest right word."""

from pathlib import Path

import msgspec
import pytest

from agt.transport import (
    ConfigInvalid,
    ConnectBudget,
    ReliableConfig,
    ReliableTransport,
    TCPConnection,
    load_config,
)

DOCUMENT = """
[reliable_transport]
max_retries = 3
ack_timeout_seconds = 5.0
dedup_cache_size = 1000
dedup_ttl_seconds = 300
send_queue_max = 100
recv_queue_max = 100
"""
"""The production config of document 004, in TOML."""


def problems(text: str) -> list[str]:
    """Return what is wrong with a text."""
    with pytest.raises(ConfigInvalid) as caught:
        ReliableConfig.from_toml(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_documents_file_is_the_default(tmp_path: Path) -> None:
    """Its names, its numbers, from text and from a file; what it says of retries holds with an outbox, too."""
    said = ReliableConfig(max_retries=3)
    file = tmp_path / "config.toml"
    file.write_text(DOCUMENT)
    assert ReliableConfig.from_toml(DOCUMENT) == ReliableConfig.from_toml(file) == said
    assert load_config(str(file)).reliable_transport == said
    assert msgspec.structs.replace(said, max_retries="auto") == ReliableConfig()
    assert [config.retries(kept=False) for config in (said, ReliableConfig())] == [3, 3]
    assert [config.retries(kept=True) for config in (said, ReliableConfig())] == [3, None]
    assert ReliableConfig.from_toml("") == ReliableConfig()


def test_what_is_set_is_taken(tmp_path: Path) -> None:
    """Including "none" where there may be no limit, which TOML has no word for, and other programs' tables."""
    text = '[reliable_transport]\nmax_retries = "none"\noverflow = "drop_oldest"\ndedup_ttl_seconds = 60\n'
    assert ReliableConfig.from_toml(text + "[database]\nurl = 'x'\n") == ReliableConfig(
        max_retries=None, overflow="drop_oldest", dedup_ttl_seconds=60
    )
    file = tmp_path / "config.toml"
    file.write_text("[connect_budget]\nconnects_per_s = 50\n")
    assert load_config(file).connect_budget == ConnectBudget(connects_per_s=50)


def test_all_problems_come_at_once_with_path_and_nearest_name(tmp_path: Path) -> None:
    """Nobody should have to find mistakes one by one."""
    file = tmp_path / "config.toml"
    file.write_text(
        "[reliable_transport]\nmax_retrys = 3\nack_timeout_seconds = -1\nsend_queue_max = 'many'\n"
        "hello_timeout_s = inf\n[connect_budget]\nconnects_per_s = 0\n"
    )
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file)
    assert str(caught.value).splitlines() == [
        f"{file}: reliable_transport.max_retrys: unknown key; did you mean max_retries?",
        f"{file}: reliable_transport.ack_timeout_seconds: expected `float` > 0.0",
        f"{file}: reliable_transport.send_queue_max: expected `int`, got `str`",
        f"{file}: reliable_transport.hello_timeout_s: must be a number, not inf",
        f"{file}: connect_budget.connects_per_s: expected `float` > 0.0",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[reliable_transprt]\n", "reliable_transprt: unknown table; did you mean reliable_transport?"),
        ("max_retries = 3\n", "max_retries: belongs under [reliable_transport]"),
        ("reliable_transport = 3\n", "reliable_transport: must be a table: [reliable_transport]"),
        (
            "[reliable_transport]\nbackoff_base_s = 9\n",
            "reliable_transport.backoff_base_s: (9) must not be above backoff_max_s (5)",
        ),
    ],
)
def test_a_slip_is_named_where_it_is(text: str, says: str) -> None:
    """A table that is nearly ours, a key at the top, a value in a table's place, two that contradict each other."""
    assert problems(text) == [says]


@pytest.mark.parametrize("text", ["[reliable_transport\n", "config.toml", "a = " + "[" * 5000])
def test_what_is_no_toml_is_said_in_words(text: str) -> None:
    """And a path that was given as text is recognised."""
    (says,) = problems(text)
    assert says.startswith("is not TOML")
    assert ("pathlib.Path" in says) is (text == "config.toml")


def test_a_file_that_is_not_there_or_too_large_is_said_in_words(tmp_path: Path) -> None:
    """Limits before reading, and no traceback."""
    with pytest.raises(ConfigInvalid, match="cannot be read: no such file"):
        load_config(tmp_path / "none.toml")
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigInvalid, match="larger than"):
        load_config(large)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="is not TOML"):
        load_config(binary)


def test_contradictions_in_code_are_refused_too() -> None:
    """The same check where the settings never were in a file."""
    with pytest.raises(msgspec.ValidationError, match="backoff_base_s"):
        ReliableTransport(TCPConnection("h", 1), config=ReliableConfig(backoff_base_s=9))
