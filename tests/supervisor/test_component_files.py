"""A component's files when the disk takes no new one."""

from pathlib import Path

from agt.supervisor.components._files import ComponentFiles, Record


def record(pid: int) -> Record:
    """Return who runs as a component."""
    return Record(pid=pid, start_ticks=1, boot_id="b", digest="d")


def test_a_record_that_finds_no_room_is_written_over_the_old_one(tmp_path: Path) -> None:
    """A gateway that dies on a full disk has to come back; a longer old record leaves nothing of itself behind."""
    files = ComponentFiles(tmp_path, "gateway")
    files.write_record(record(123_456_789))
    (tmp_path / "gateway.json.new").mkdir()  # Stands in for a disk that takes no new file.
    files.write_record(record(12))
    assert files.read_record() == record(12)
