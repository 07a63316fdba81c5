"""The audit's chain: whatever is changed, taken out, put in or cut off shows."""

import sqlite3

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.records import SCHEMA, Audit, AuditHead, AuditRow, Store, verify_chain, verify_file
from agt.supervisor.records._audit import DETAIL_MAX, GENESIS, sealed


def chain(count: int) -> list[AuditRow]:
    """A whole chain."""
    rows: list[AuditRow] = []
    for number in range(1, count + 1):
        row = AuditRow(
            number=number, at=float(number), by="ann", action="advance", outcome="done", says=f"step {number}"
        )
        rows.append(sealed(row, rows[-1].hash if rows else GENESIS))
    return rows


@given(st.integers(1, 12), st.data())
def test_whatever_is_done_to_a_row_shows(count: int, data: st.DataObject) -> None:
    """Each field, each place; and taking out, doubling or swapping rows."""
    rows = chain(count)
    head = AuditHead(count, rows[-1].hash)
    assert verify_chain(rows, head=head).whole
    place = data.draw(st.integers(0, count - 1))
    field, value = data.draw(
        st.sampled_from(
            [("at", 0.5), ("by", "bob"), ("action", "kill"), ("says", ""), ("outcome", "refused"), ("detail", "x")]
        )
    )
    changed = [*rows]
    changed[place] = msgspec.structs.replace(rows[place], **{field: value})
    verdict = verify_chain(changed)
    assert not verdict.whole
    assert f"row {place + 1}" in verdict.problem
    assert not verify_chain([*rows[:place], *rows[place + 1 :]], head=head).whole
    assert not verify_chain([*rows[: place + 1], *rows[place:]], head=head).whole


def test_a_chain_that_was_cut_off_or_written_anew_shows_against_its_noted_head() -> None:
    """By itself a shorter chain is whole: that is what heads are for."""
    rows = chain(5)
    head = AuditHead(5, rows[-1].hash)
    assert verify_chain(rows[:3]).whole
    assert "rows 4 to 5 were cut off" in verify_chain(rows[:3], head=head).problem
    anew = sealed(msgspec.structs.replace(rows[4], by="bob"), rows[3].hash)
    assert "written anew" in verify_chain([*rows[:4], anew], head=head).problem
    assert verify_chain([], head=AuditHead(0, GENESIS)).whole
    assert not verify_chain([], head=head).whole


async def test_rows_in_a_store_are_a_chain_and_a_changed_file_shows(tmp_path) -> None:
    """Appended in any bundles, read back newest first, and verified with the file in somebody else's hands."""
    store = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    audit = Audit(store)
    row = AuditRow(at=1.0, by="ann", action="set", detail="x" * 5000, outcome="done")
    await audit.append(row, msgspec.structs.replace(row, detail="", action="kill-switch-on"))
    head = await audit.append(msgspec.structs.replace(row, outcome="refused", says="stale"))
    assert head == await audit.head()
    assert head.number == 3
    newest = await audit.newest(2)
    assert [(one.number, one.outcome) for one in newest] == [(3, "refused"), (2, "done")]
    assert len((await audit.newest())[-1].detail) <= DETAIL_MAX + 10
    assert (await audit.verify(head)).whole
    await store.aclose()
    with sqlite3.connect(tmp_path / "records.sqlite") as connection:
        assert verify_file(connection, head).whole
        connection.execute("UPDATE audit SET by_whom = 'bob' WHERE number = 2")
        assert "row 2 was changed" in verify_file(connection).problem
    connection.close()


@pytest.mark.parametrize("text", ["", "3", "x:" + GENESIS, "3:" + "g" * 64, "3:" + "0" * 63, "-1:" + GENESIS])
def test_a_head_that_is_none_is_refused_in_words(text: str) -> None:
    """What `str` writes is read back, anything else says how it is written."""
    assert AuditHead.parse(str(AuditHead(3, GENESIS))) == AuditHead(3, GENESIS)
    with pytest.raises(ValueError, match="audit head"):
        AuditHead.parse(text)
