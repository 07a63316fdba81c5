"""`agt parity`, `agt suite run` and `agt snapshot compare` on real commands and files: output and exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agt.supervisor.cli import run

Said = tuple[int, str, str]


@pytest.fixture
def agt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run a command in a folder with two listings; returns its status, output and complaint."""
    monkeypatch.chdir(tmp_path)
    for name, mode in (("v4", "hook"), ("v5", "poll")):
        rows = [{"id": "a", "evidence_mode": mode}, {"id": "b", "evidence_mode": "hook"}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"panes": rows, "version": 3}))

    def call(*arguments: str) -> Said:
        status = run(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


PANES = ("--key", "id", "--rows", "panes", "--every", "1ms")


def test_equal_listings_end_with_0(agt: Callable[..., Said]) -> None:
    """From a file and from a command."""
    status, out, err = agt("parity", "--control", "file:v4.json", "--candidate", "cmd:cat v4.json", *PANES)
    assert (status, err) == (0, "")
    assert out.startswith("panes: passed: 2 rows equal in every field\n")


def test_listings_that_differ_end_with_1_and_a_table(agt: Callable[..., Said]) -> None:
    """Progress goes to the other stream; an ignored field is no difference."""
    sides = ("--control", "file:v4.json", "--candidate", "file:v5.json")
    status, out, err = agt("parity", *sides, *PANES)
    assert status == 1
    assert out.splitlines()[-1].split() == ["differs", "a", "evidence_mode", "hook", "poll", "3", "takes"]
    assert err.count("they count once they have stood for 3 takes in a row") == 2
    assert agt("parity", *sides, *PANES, "--ignore", "evidence_mode")[0] == 0
    status, out, _ = agt("parity", *sides, *PANES, "--takes", "1", "--json")
    found = json.loads(out)
    assert (status, found["verdict"], found["projections"][0]["samples"]) == (1, "failed", 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name a FILE, or --control, --candidate and --key"),
        (("--control", "x", "--candidate", "file:a", "--key", "id"), "--control: x is no source"),
        (("--control", "file:a", "--candidate", "file:a", "--key", "id", "--every", "soon"), "--every: 'soon'"),
        (("--control", "file:a", "--candidate", "file:a", "--key", "id,id"), "names a field twice"),
        (("parity.toml", "--key", "id"), "with a FILE, sources and fields stand in the file"),
    ],
)
def test_wrong_usage_ends_with_2(agt: Callable[..., Said], arguments: tuple[str, ...], says: str) -> None:
    """In one line that says what to write."""
    status, out, err = agt("parity", *arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_file_of_projections_is_compared_whole_or_in_part(agt: Callable[..., Said], tmp_path: Path) -> None:
    """Its paths are beside it; the worst verdict counts."""
    text = "".join(
        f'[[projection]]\nname = "{name}"\nkey = ["id"]\nrows = "panes"\nevery_s = 0.001\n'
        f'control = "file:v4.json"\ncandidate = "file:{candidate}.json"\n'
        for name, candidate in (("panes", "v5"), ("same", "v4"))
    )
    (tmp_path / "parity.toml").write_text(text)
    status, out, _ = agt("parity", str(tmp_path / "parity.toml"))
    assert (status, "panes: failed" in out, "same: passed" in out) == (1, True, True)
    assert agt("parity", "parity.toml", "--only", "same")[0] == 0
    assert agt("parity", "parity.toml", "--only", "none")[0] == 2
    (tmp_path / "parity.toml").write_text(text.replace("file:v4", "fil:v4"))
    status, _, err = agt("parity", "parity.toml")
    assert (status, "parity.toml has 3 problems" in err) == (1, True)


def test_a_function_that_cannot_be_imported_is_one_line(agt: Callable[..., Said]) -> None:
    """And no traceback."""
    status, out, err = agt("parity", "--control", "function:no.such:f", "--candidate", "file:v4.json", *PANES)
    assert (status, err) == (1, "")
    assert "panes: error: function no.such:f can't be imported: ModuleNotFoundError" in out


SUITE = """
schema = 1
control = { command = ["echo", '{"score": 1.0, "segment": "a"}'] }
candidate = { command = ["echo", '{"score": 1.02, "segment": "a"}'] }
seed_count = 3
[[request]]
name = "predict"
"""


def test_a_suite_ends_with_0_when_nothing_got_worse(agt: Callable[..., Said], tmp_path: Path) -> None:
    """Checks, figures, progress."""
    (tmp_path / "suite.toml").write_text(SUITE)
    status, out, err = agt("suite", "run", "suite.toml", "--junit", "report.xml")
    assert status == 0
    assert "v mean delta: 2.00% in score; must be below 5.00%" in out
    assert err.splitlines()[-1] == "3 of 3 requests"
    assert ElementTree.fromstring((tmp_path / "report.xml").read_bytes()).attrib["failures"] == "0"


def test_a_suite_ends_with_1_when_something_did(agt: Callable[..., Said], tmp_path: Path) -> None:
    """A side can be named instead of the file's."""
    (tmp_path / "suite.toml").write_text(SUITE)
    worse = ("--candidate", """cmd:echo '{"score": 1.2, "segment": "b"}'""")
    status, out, _ = agt("suite", "run", "suite.toml", *worse, "--json")
    found = json.loads(out)
    assert (status, found["verdict"], found["mismatched"]) == (1, "failed", 3)
    assert agt("suite", "run", "suite.toml", "--candidate", "x")[0] == 2
    (tmp_path / "suite.toml").write_text(SUITE.replace("control =", "contrl ="))
    status, _, err = agt("suite", "run", "suite.toml")
    assert (status, "did you mean control?" in err) == (1, True)
    assert agt("suite", "run", "none.toml")[0] == 1


def test_snapshots_are_compared(agt: Callable[..., Said]) -> None:
    """Two files or two folders; equal is 0, else 1."""
    both = ("snapshot", "compare", "--base", "v4.json", "--target")
    assert agt(*both, "v4.json", "--strict")[0] == 0
    status, out, _ = agt(*both, "v5.json", "--strict")
    assert (status, "panes.0.evidence_mode" in out) == (1, True)
    assert agt(*both, "v5.json", "--ignore", "panes.*.evidence_mode")[0] == 0
    assert json.loads(agt(*both, "none.json", "--json")[1])["verdict"] == "error"
    assert agt("snapshot", "compare", "--base", "v4.json")[0] == 2
