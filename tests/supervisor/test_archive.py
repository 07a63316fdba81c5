"""What is kept of a component that was taken out of service, and what it is started with when it comes back."""

from pathlib import Path

import msgspec
import pytest

from agt.supervisor.components import archive as kept_files
from agt.supervisor.components.archive import (
    KEPT_S,
    Archive,
    archive_folder,
    mark_revived,
    pinned_command,
    prune_archives,
    read_archive,
    write_archive,
)

AT = 1_000_000.0


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program with a file of its own."""
    path = tmp_path / "v4"
    path.write_text("#!/bin/sh\nexec cat\n")
    path.chmod(0o755)
    (tmp_path / "v4.toml").write_text("answers = 42\n")
    return path


def keep(run: Path, program: Path, *extra: str, **changes: object) -> Archive:
    """Archive the program with its configuration as an argument."""
    command = (str(program), "--config", str(program.with_suffix(".toml")), "-v")
    plain = Archive(name="v4", command=command, environment={"A": "1"}, at=AT, until=AT + KEPT_S)
    return write_archive(run, msgspec.structs.replace(plain, **changes), extra=extra)


def test_program_and_named_files_are_kept_with_their_checksums(tmp_path: Path, program: Path) -> None:
    """What is read back is what was written, and the copies are executable where the originals are."""
    done = keep(tmp_path, program)
    assert read_archive(tmp_path, "v4") == done
    assert [Path(file.path).name for file in done.files] == ["v4", "v4.toml"]
    copy = archive_folder(tmp_path, "v4") / done.files[0].copy
    assert copy.read_bytes() == program.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o755


def test_the_original_is_used_while_it_is_what_was_archived(tmp_path: Path, program: Path) -> None:
    """Nothing has changed: nothing is pinned elsewhere."""
    done = keep(tmp_path, program)
    assert pinned_command(tmp_path, done) == done.command


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("v5")])
def test_the_copy_stands_in_for_what_has_gone_or_changed(tmp_path: Path, program: Path, spoil) -> None:
    """Program and argument alike."""
    done = keep(tmp_path, program)
    spoil(program)
    spoil(program.with_suffix(".toml"))
    folder = archive_folder(tmp_path, "v4")
    assert pinned_command(tmp_path, done) == (
        str(folder / "000-v4"),
        "--config",
        str(folder / "001-v4.toml"),
        "-v",
    )


def test_a_damaged_copy_of_a_file_that_has_gone_is_refused(tmp_path: Path, program: Path) -> None:
    """Better not to start than to start something else."""
    done = keep(tmp_path, program)
    program.unlink()
    (archive_folder(tmp_path, "v4") / done.files[0].copy).write_text("exec something else")
    with pytest.raises(OSError, match="is not what was archived"):
        mark_revived(tmp_path, done, AT + 1)
    assert read_archive(tmp_path, "v4") == done


def test_a_program_that_has_gone_already_cannot_be_archived(tmp_path: Path, program: Path) -> None:
    """Nor what the plan names beside it; nothing is left behind."""
    with pytest.raises(OSError, match=r"missing\.db can't be archived"):
        keep(tmp_path, program, str(tmp_path / "missing.db"))
    program.unlink()
    with pytest.raises(OSError, match="is not there any more"):
        keep(tmp_path, program)
    assert read_archive(tmp_path, "v4") is None
    assert not list(tmp_path.glob("archive/*"))


def test_too_much_is_refused_before_it_is_copied(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the earlier archive stays."""
    done = keep(tmp_path, program)
    monkeypatch.setattr(kept_files, "BYTES_MAX", 10)
    with pytest.raises(OSError, match="at most 10 are kept"):
        keep(tmp_path, program, reason="again")
    assert read_archive(tmp_path, "v4") == done


def test_an_archive_is_deleted_after_its_time_and_not_before(tmp_path: Path, program: Path) -> None:
    """Thirty days to the second."""
    done = keep(tmp_path, program)
    assert prune_archives(tmp_path, now=done.until - 1) == ()
    assert prune_archives(tmp_path, now=done.until) == ("v4",)
    assert not archive_folder(tmp_path, "v4").exists()


def test_a_revived_archive_is_kept_for_as_long_as_it_is_needed(tmp_path: Path, program: Path) -> None:
    """Its copies may be what runs."""
    done = keep(tmp_path, program)
    mark_revived(tmp_path, done, AT + 1)
    assert prune_archives(tmp_path, now=done.until + 1) == ()
    found = read_archive(tmp_path, "v4")
    assert found is not None
    assert found.revived == AT + 1
