"""Ignore rules: whom they cover, and that each ends."""

import datetime

import msgspec
import pytest

from agt.router._ignore import RULES_MAX, IgnoreRule, check_ignore, expired_rules, field_path, ignored_by

NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
NOW = NOON.timestamp()


def rule(field: str, key: str = "*", *, expires: datetime.datetime = NOON + datetime.timedelta(days=1)) -> IgnoreRule:
    """A rule that somebody answers for."""
    return IgnoreRule(field=field, key=key, owner="ann", reason="known", expires=expires)


@pytest.mark.parametrize(
    ("pattern", "field", "covered"),
    [
        ("updated_at", "updated_at", True),
        ("updated_at", "updated_at.seconds", True),
        ("updated_at", "updated_at_ms", False),
        ("body.*.at", "body.3.at", True),
        ("body.*.at", "body.at", False),
        ("*", "", True),
        ("title", "", False),
    ],
)
def test_a_rule_covers_its_path_and_what_is_beneath(pattern: str, field: str, covered: bool) -> None:
    """A neighbour with a longer name is not covered, and a whole row only by `*`."""
    assert rule(pattern).covers(field, "lamp") is covered


def test_a_rule_may_name_whom_it_means() -> None:
    """The key narrows it."""
    assert rule("*", "session-b*").covers("title", "session-beta")
    assert not rule("*", "session-b*").covers("title", "session-alpha")


def test_a_rule_ends_at_its_date() -> None:
    """From then on the difference counts again, and the rule is named."""
    ending = rule("title", expires=NOON)
    assert ignored_by([ending], "title", now=NOW - 1) is ending
    assert ignored_by([ending], "title", now=NOW) is None
    assert expired_rules([ending, rule("x")], now=NOW) == (ending,)


def test_a_rule_needs_an_owner_a_reason_and_an_end() -> None:
    """What nobody answers for, or never ends, is refused."""
    whole = {"field": "x", "owner": "ann", "reason": "known", "expires": "2026-12-31T00:00:00Z"}
    assert msgspec.convert(whole, IgnoreRule).owner == "ann"
    for missing in ("owner", "reason", "expires", "field"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({key: value for key, value in whole.items() if key != missing}, IgnoreRule)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(whole | {"owner": ""}, IgnoreRule)


def test_dates_without_offset_and_too_many_rules_are_named() -> None:
    """Neither would mean what it says."""
    naive = rule("x", expires=NOON.replace(tzinfo=None))
    assert [str(problem) for problem in check_ignore([rule("y"), naive])] == [
        "ignore[1].expires: needs an offset: write it with Z or +02:00 at the end"
    ]
    assert "at most" in str(next(check_ignore([rule("x")] * (RULES_MAX + 1))))


def test_paths_quote_what_would_read_as_two() -> None:
    """A name with a dot is not the same as a name inside another."""
    assert field_path(["a", 3, "b"]) == "a.3.b"
    assert field_path(["a.b"]) == '"a.b"'
    assert field_path([""]) == '""'
