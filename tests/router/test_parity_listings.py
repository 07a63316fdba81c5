"""Listings: what is one, and how two of them are compared by key and signature fields."""

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.parity import (
    IgnoreRule,
    Layout,
    Listing,
    ListingRefused,
    Projection,
    Tolerance,
    check_projection,
    compare_listings,
    decode_listing,
    listing_of,
)
from agt.router.parity._compare import DIFFERENCES_MAX
from agt.router.parity._listing import KEY, ROWS_MAX, VALUE

few = settings(max_examples=40)

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()
PANES = Projection(name="panes", key=("id",), fields=("evidence_mode", "pane_presence"))

rows = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from([1, 1.0, "1", True, None, "a"])},
        optional={"x": st.sampled_from([0, 1, True, None, "1", [1], float("nan")])},
    ),
    max_size=5,
)


def listing(*found: dict[str, Any]) -> Listing:
    """A listing of these rows."""
    return Listing(rows=found)


def told(control: list[dict[str, Any]], candidate: list[dict[str, Any]], projection: Projection = PANES) -> list[str]:
    """The differences as `kind key field`."""
    compared = compare_listings(listing(*control), listing(*candidate), projection, now=NOW)
    return [" ".join(filter(None, one.place)) for one in compared.differences]


def rule(field: str, key: str = "*", *, days: int = 1) -> IgnoreRule:
    """A rule that ends some days after NOW."""
    ends = datetime.datetime.fromtimestamp(NOW, tz=datetime.UTC) + datetime.timedelta(days=days)
    return IgnoreRule(field=field, key=key, owner="ann", reason="known", expires=ends)


def pane(name: object, **fields: object) -> dict[str, Any]:
    """A row with a signature."""
    return {"id": name, "evidence_mode": "hook", "pane_presence": "present", **fields}


@pytest.mark.parametrize(
    ("data", "layout", "found"),
    [
        (b'[{"id": 1}]', Layout(key=("id",)), [{"id": 1}]),
        (b'{"id": 1}\n{"id": 2}\n', Layout(key=("id",)), [{"id": 1}, {"id": 2}]),
        (b'{"id": 1}\n', Layout(key=("id",)), [{"id": 1}]),
        (b"", Layout(key=("id",), format="lines"), []),
        (b'{"result": {"panes": [{"id": 1}]}}', Layout(key=("id",), rows="result.panes"), [{"id": 1}]),
        (b'{"a": {"x": 1}, "b": 2}', Layout(key=(KEY,)), [{KEY: "a", "x": 1}, {KEY: "b", VALUE: 2}]),
        (b'["alpha", "beta"]', Layout(key=(VALUE,)), [{VALUE: "alpha"}, {VALUE: "beta"}]),
        (b'{"a.b": [{"id": 1}]}', Layout(key=("id",), rows="a.b"), [{"id": 1}]),
    ],
)
def test_listings_come_in_several_forms(data: bytes, layout: Layout, found: list[dict[str, Any]]) -> None:
    """A list, rows inside, members by name, plain values, lines."""
    assert list(decode_listing(data, layout).rows) == found


@pytest.mark.parametrize(
    ("data", "layout", "says"),
    [
        (b" \n", Layout(key=("id",)), "is empty"),
        (b'{"panes": [], "v": 1}', Layout(key=("id",)), "say where its rows are .* it has panes, v"),
        (b'{"panes": []}', Layout(key=("id",), rows="pane"), "has nothing at pane; it has panes"),
        (b'"text"', Layout(key=("id",)), "is no listing but text"),
        (b'[{"id": 1}]\n[', Layout(key=("id",)), "in line 2 what is no JSON"),
        (b'[{"id": 1},]', Layout(key=("id",)), "is no JSON"),
        (b"[]", Layout(key=("id",), rows="x", version="v"), "has nothing at x"),
        (b'{"x": []}', Layout(key=("id",), rows="x", version="v"), "has no version at v"),
        (b'{"x": [], "t": "soon"}', Layout(key=("id",), rows="x", as_of="t"), "has no time at t but soon"),
        (b'{"x": [], "t": 1e300}', Layout(key=("id",), rows="x", as_of="t"), "has no time at t"),
    ],
)
def test_what_is_no_listing_says_what_to_write(data: bytes, layout: Layout, says: str) -> None:
    """Each refusal is one reason."""
    with pytest.raises(ListingRefused, match=says):
        decode_listing(data, layout)


def test_version_and_time_are_read_beside_the_rows() -> None:
    """A version is found under its usual names, a time where it is said to be."""
    data = b'{"panes": [], "state_version": 41, "at": "2026-06-01T00:00:00Z"}'
    found = decode_listing(data, Layout(key=("id",), rows="panes", as_of="at"))
    assert (found.version, found.as_of) == ("41", NOW)
    assert decode_listing(b'{"panes": [], "at": 17}', Layout(key=("id",), rows="panes", as_of="at")).as_of == 17


def test_too_many_rows_are_refused() -> None:
    """Before anything is built of them."""
    with pytest.raises(ListingRefused, match="at most 200000"):
        listing_of([1] * (ROWS_MAX + 1), Layout(key=(VALUE,)))


def test_missing_extra_and_differing_are_told_apart() -> None:
    """Only signature fields count."""
    control = [pane("a"), pane("b"), pane("c", title="one")]
    candidate = [pane("c", title="two"), pane("b", evidence_mode="poll"), pane("d")]
    assert told(control, candidate) == ["missing a", "differs b evidence_mode", "extra d"]


def test_an_absent_field_is_not_null() -> None:
    """Nor equal to one that is there."""
    bare = {"id": "a", "evidence_mode": None, "pane_presence": "present"}
    without = {"id": "a", "pane_presence": "present"}
    assert told([bare], [without]) == ["differs a evidence_mode"]
    assert told([without], [without]) == []


def test_without_fields_the_whole_row_counts() -> None:
    """Nested places are named."""
    every = Projection(key=("id",))
    assert told([pane("a", load={"cpu": 1})], [pane("a", load={"cpu": 2})], every) == ["differs a load.cpu"]


def test_keys_of_several_fields_and_nested_ones() -> None:
    """Together they name a row."""
    projection = Projection(key=("session", "pane.id"), fields=("x",))
    one = {"session": "s", "pane": {"id": 1}, "x": 1}
    other = {"session": "s", "pane": {"id": 2}, "x": 1}
    assert told([one, other], [other, one], projection) == []
    assert told([one], [other], projection) == ["missing s / 1", "extra s / 2"]


def test_keys_keep_their_kind() -> None:
    """The text "1", the number 1 and true are three rows; 1 and 1.0 are one."""
    projection = Projection(key=("id",), fields=("x",))
    assert told([{"id": 1}, {"id": "1"}], [{"id": 1.0}, {"id": True}], projection) == ['missing "1"', "extra true"]
    one, other = (list(decode_listing(b'[{"id": NaN}]', projection.layout).rows) for _ in range(2))
    assert told(one, other, projection) == []


def test_a_key_on_two_rows_is_a_difference_only_where_the_sides_disagree() -> None:
    """Twice on one side is told; twice on both is compared row by row, in any order."""
    assert told([pane("a")], [pane("a"), pane("a")]) == ["duplicate a"]
    two = [pane("a", evidence_mode="hook"), pane("a", evidence_mode="poll")]
    assert told(two, two[::-1]) == []
    assert told(two, [two[0], two[0]]) == ["differs a evidence_mode"]
    assert compare_listings(listing(*two), listing(*two), PANES, now=NOW).doubled == 1


def test_order_counts_only_when_asked_for() -> None:
    """The first row out of place is named, once."""
    control, candidate = [pane("a"), pane("b"), pane("c")], [pane("a"), pane("c"), pane("b")]
    assert told(control, candidate) == []
    ordered = Projection(key=("id",), fields=("evidence_mode",), ordered=True)
    compared = compare_listings(listing(*control), listing(*candidate), ordered, now=NOW)
    assert [one.kind for one in compared.differences] == ["order"]
    assert compared.differences[0].control.startswith("b in place 2")


def test_numbers_may_differ_within_their_tolerance() -> None:
    """By field or by pattern; a name of its own goes first."""
    tolerance = {"load.*": Tolerance(relative=0.1), "load.cpu": Tolerance(absolute=0.1)}
    projection = Projection(key=("id",), fields=("load",), tolerance=tolerance)
    control, candidate = {"id": 1, "load": {"cpu": 1.0, "io": 100}}, {"id": 1, "load": {"cpu": 1.1, "io": 91}}
    assert told([control], [candidate], projection) == []
    candidate["load"] = {"cpu": 1.2, "io": 80}
    assert told([control], [candidate], projection) == ["differs 1 load.cpu", "differs 1 load.io"]


def test_rules_hide_fields_and_rows_until_they_end() -> None:
    """What is hidden is counted."""
    control, candidate = [pane("a", evidence_mode="poll"), pane("b")], [pane("a")]
    projection = Projection(key=("id",), ignore=(rule("evidence_mode"), rule("*", "b")))
    compared = compare_listings(listing(*control), listing(*candidate), projection, now=NOW)
    assert (compared.equal, compared.ignored) == (True, 2)
    assert not compare_listings(listing(*control), listing(*candidate), projection, now=NOW + 86_400).equal


def test_a_row_without_its_key_is_refused() -> None:
    """The row and what it has instead are named."""
    with pytest.raises(ListingRefused, match=r"no key field id in row 2 \(it has name\)"):
        told([pane("a"), {"name": "b"}], [])


def test_a_flood_of_differences_is_counted_but_not_kept() -> None:
    """The result stays bounded."""
    many = [{"id": number} for number in range(DIFFERENCES_MAX + 5)]
    compared = compare_listings(listing(*many), listing(), Projection(key=("id",)), now=NOW)
    assert (len(compared.differences), compared.counts) == (DIFFERENCES_MAX, {"missing": DIFFERENCES_MAX + 5})


def test_long_keys_are_cut_without_becoming_one() -> None:
    """Two that begin alike stay two."""
    long = "x" * 1000
    keys = told([{"id": long + "a"}, {"id": long + "b"}], [], Projection(key=("id",)))
    assert len(set(keys)) == 2
    assert all(len(key) < 200 for key in keys)


@few
@given(rows)
def test_a_listing_equals_itself(found: list[dict[str, Any]]) -> None:
    """Also with keys that stand twice, and in order."""
    for projection in (Projection(key=("id",)), Projection(key=("id",), fields=("x",), ordered=True)):
        assert told(found, found, projection) == []


@few
@given(rows, rows)
def test_swapping_the_sides_swaps_missing_and_extra(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """All else stays."""
    forth, back = (
        compare_listings(listing(*a), listing(*b), Projection(key=("id",)), now=NOW).counts
        for a, b in ((one, other), (other, one))
    )
    swapped = {{"missing": "extra", "extra": "missing"}.get(kind, kind): count for kind, count in back.items()}
    assert forth == swapped


@few
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(found: list[dict[str, Any]], rng: Any) -> None:
    """Unless it is asked for."""
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert told(found, shuffled, Projection(key=("id",))) == []


def test_what_a_projection_contradicts_is_named() -> None:
    """A key twice, an age without a time, a time to settle without a pause."""
    wrong = Projection(key=("a", "a"), max_age_s=1.0, settle_s=1.0, every_s=0.0)
    assert [problem.key for problem in check_projection(wrong)] == ["key", "max_age_s", "every_s"]
