"""Tokens: made once, kept as hashes, told apart in constant time, revoked at once; and the budgets beside them."""

import hashlib
import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.access import (
    LOCAL,
    AddressInvalid,
    Budgets,
    Caller,
    Failures,
    Misdirected,
    OriginCheck,
    TokenFile,
    TokenFileDamaged,
    TokenInvalid,
    bind_name,
    make_token,
    match_token,
    may_call,
    parse_address,
    recorded_name,
)
from agt.supervisor.tokens import TokenOrder


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock at 1000 s."""
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> TokenFile:
    """Return the token file of an empty run directory."""
    return TokenFile(tmp_path, clock=clock)


def test_a_token_is_kept_as_its_hash_in_a_file_of_ours_alone(file: TokenFile) -> None:
    """The secret is nowhere on the disk; what is there is SHA-256 of the whole token, mode 0600."""
    made = file.create(TokenOrder(name="ci", role="operator"))
    text = file.path.read_text()
    assert made.token not in text
    assert made.token.split("_", 2)[2] not in text
    assert json.loads(text)["tokens"][0]["hash"] == hashlib.sha256(made.token.encode()).hexdigest()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_shown_token_is_matched_and_nothing_near_it_is(file: TokenFile) -> None:
    """One wrong character anywhere, another token's id, a prefix or a longer text: none of ours."""
    made, other = (file.create(TokenOrder(name=name, role="viewer")).token for name in ("a", "b"))
    found = file.match(made)
    assert found is not None
    assert (found.name, found.role) == ("a", "viewer")
    for index in range(len(made)):
        assert file.match(made[:index] + ("x" if made[index] != "x" else "y") + made[index + 1 :]) is None
    assert file.match(made[:12] + other[12:]) is None
    for wrong in ("", made[:-1], made + "x", made * 100, " " + made, f"{made}\n"):
        assert file.match(wrong) is None


@given(text=st.text(max_size=200))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    """Whatever is shown, only the token matches."""
    token, record = make_token(TokenOrder(name="a", role="viewer"), now=0.0, random_bytes=lambda n: b"\x01" * n)
    assert (match_token(text, [record], now=1.0) is not None) == (text == token)


def test_a_token_expires(file: TokenFile, clock: Clock) -> None:
    """Up to its time and not at it; its name is then free for a new one."""
    token = file.create(TokenOrder(name="ci", role="viewer", lasts_s=60.0)).token
    clock.now = 1059.9
    assert file.match(token) is not None
    clock.now = 1060.0
    assert file.match(token) is None
    assert not file.page().tokens[0].valid
    file.create(TokenOrder(name="ci", role="viewer"))
    assert [one.valid for one in file.page().tokens] == [True]


def test_a_token_that_another_process_revokes_counts_no_longer(file: TokenFile, tmp_path: Path) -> None:
    """The command line changes the file; who serves sees it at the next use."""
    token = file.create(TokenOrder(name="ci", role="viewer")).token
    found = file.match(token)
    assert found is not None
    assert file.holds(found.id)
    TokenFile(tmp_path).revoke("ci")
    assert file.match(token) is None
    assert not file.holds(found.id)
    with pytest.raises(KeyError):
        file.revoke("ci")


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "token:a", "a/b", "ä", "a\n"])
def test_a_name_that_could_mislead_is_refused(file: TokenFile, name: str) -> None:
    """Names stand in the audit and in sign-offs."""
    with pytest.raises(TokenInvalid, match="letters, digits"):
        file.create(TokenOrder(name=name, role="viewer"))
    assert not file.path.exists()


def test_a_name_is_used_once_and_their_number_is_bounded(file: TokenFile) -> None:
    """A second of a name is refused, and so is the sixty-fifth."""
    for index in range(64):
        file.create(TokenOrder(name=f"t{index}", role="viewer"))
    with pytest.raises(TokenInvalid, match="already"):
        file.create(TokenOrder(name="t1", role="operator"))
    with pytest.raises(TokenInvalid, match="64 tokens"):
        file.create(TokenOrder(name="more", role="viewer"))


def test_tokens_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    """Writers wait for each other: none overwrites another's."""
    writers = [
        threading.Thread(target=TokenFile(tmp_path).create, args=(TokenOrder(name=f"t{index}", role="viewer"),))
        for index in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(TokenFile(tmp_path).page().tokens) == 8


@pytest.mark.parametrize("damage", [b"", b"{", b'{"tokens": 1}', b"\xff", b"[" * 9000, b" " * 70_000])
def test_a_damaged_file_lets_nobody_in_and_says_so(file: TokenFile, damage: bytes) -> None:
    """No tracebacks and no open door."""
    token = file.create(TokenOrder(name="ci", role="viewer")).token
    file.path.write_bytes(damage)
    assert file.match(token) is None
    with pytest.raises(TokenFileDamaged, match="can't be used"):
        file.page()


def test_a_file_that_others_can_read_is_refused(file: TokenFile) -> None:
    """The way out is in the message."""
    token = file.create(TokenOrder(name="ci", role="viewer")).token
    file.path.chmod(0o640)
    assert file.match(token) is None
    with pytest.raises(TokenFileDamaged, match="chmod 600"):
        file.page()


@pytest.mark.parametrize(
    ("method", "path", "viewer", "operator", "owner"),
    [
        ("GET", "/v1/view", True, True, True),
        ("POST", "/v1/previews", True, True, True),
        ("POST", "/v1/actions", False, True, True),
        ("POST", "/v1/what-comes-next", False, True, True),
        ("DELETE", "/v1/what-comes-next", False, True, True),
        ("GET", "/v1/tokens", False, False, True),
        ("POST", "/v1/tokens", False, False, True),
        ("DELETE", "/v1/tokens/ci", False, False, True),
    ],
)
def test_who_may_do_what(method: str, path: str, viewer: bool, operator: bool, owner: bool) -> None:
    """Viewers read and preview, operators act, tokens are the owner's."""
    assert may_call(Caller(name="v", role="viewer", token_id="1"), method, path) is viewer
    assert may_call(Caller(name="o", role="operator", token_id="2"), method, path) is operator
    assert may_call(LOCAL, method, path) is owner


@given(by=st.text(max_size=30))
def test_nobody_can_claim_what_only_a_token_shows(by: str) -> None:
    """Without a token every name is recorded as claimed; with one, whatever is claimed, it is the token's."""
    assert recorded_name(bind_name(by, LOCAL)).startswith("claimed:")
    assert recorded_name(bind_name(by, Caller(name="ann", role="operator", token_id="1"))) == "token:ann"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8642", ("127.0.0.1", 8642)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:1", ("::1", 1)),
        ("127.9.9.9:65535", ("127.9.9.9", 65535)),
    ],
)
def test_loopback_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    """Both families, and any free port."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "example.org:80", "127.0.0.1", "127.0.0.1:", ":80", "1:99999"]
)
def test_any_other_address_is_refused_in_words(text: str) -> None:
    """What could be reached from elsewhere is refused, with the way out."""
    with pytest.raises(AddressInvalid, match=r"write 127|ssh -L"):
        parse_address(text)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"127.0.0.1:8642")], 0),
        ([(b"host", b"LOCALHOST:8642")], 0),
        ([(b"host", b"[::1]:8642"), (b"origin", b"http://localhost:8642")], 0),
        ([(b"host", b"127.0.0.1:8642"), (b"sec-fetch-site", b"none")], 0),
        ([], 421),
        ([(b"host", b"127.0.0.1")], 421),
        ([(b"host", b"evil.example:8642")], 421),
        ([(b"host", b"127.0.0.1:8642.evil.example")], 421),
        ([(b"host", b"127.0.0.1:8642"), (b"host", b"evil.example")], 421),
        ([(b"host", b"127.0.0.1:8642"), (b"origin", b"null")], 403),
        ([(b"host", b"127.0.0.1:8642"), (b"origin", b"http://127.0.0.1:9999")], 403),
        ([(b"host", b"127.0.0.1:8642"), (b"origin", b"https://localhost:8642")], 403),
        ([(b"host", b"127.0.0.1:8642"), (b"sec-fetch-site", b"cross-site")], 403),
        ([(b"host", b"127.0.0.1:8642"), (b"sec-fetch-site", b"same-site")], 403),
    ],
)
def test_rebinding_and_other_pages_are_told_apart_from_us(headers: list[tuple[bytes, bytes]], status: int) -> None:
    """The Host header names us exactly once; Origin and Sec-Fetch-Site are ours or absent."""
    check = OriginCheck("127.0.0.1", 8642)
    if not status:
        check.check(headers)
        return
    with pytest.raises(Misdirected) as refused:
        check.check(headers)
    assert refused.value.status == status


@given(gaps=st.lists(st.floats(min_value=0, max_value=3), max_size=60))
def test_a_budget_never_lets_through_more_than_it_holds(gaps: list[float]) -> None:
    """Over any time: at most the burst and what came in since."""
    budgets, now, taken = Budgets(per_s=2.0, burst=5.0), 0.0, 0
    for gap in gaps:
        now += gap
        wait_s = budgets.take("a", now=now)
        assert 0 <= wait_s <= 0.5
        taken += wait_s == 0
        assert taken <= 5 + 2 * now + 1e-6


def test_a_spent_budget_comes_back_and_is_nobody_elses() -> None:
    """The wait that is answered is enough; it is nobody else's; the longest unused is forgotten."""
    budgets = Budgets(per_s=2.0, burst=1.0, callers_max=2)
    assert budgets.take("a", now=0.0) == 0
    wait_s = budgets.take("a", now=0.0)
    assert budgets.take("b", now=0.0) == 0
    assert budgets.take("a", now=wait_s) == 0
    budgets.take("c", now=1.0)
    assert len(budgets) == 2


def test_failures_are_counted_limited_and_told_in_bundles() -> None:
    """All are counted, the audit hears of the first at once and of the rest together."""
    failures = Failures(per_s=1.0, burst=2.0, tell_every_s=10.0)
    found = [failures.add(now=now) for now in (0.0, 0.0, 0.0, 10.0)]
    assert [untold for _, untold in found] == [1, 0, 0, 3]
    assert [wait_s > 0 for wait_s, _ in found] == [False, False, True, False]
    assert failures.total == 4
