"""Tokens asked for over the control API: made off the event loop, and each in the audit without its secret."""

import logging
from typing import Final

import anyio
import msgspec

from agt.supervisor._bookkeeper import Bookkeeper
from agt.supervisor._errors import SupervisorError
from agt.supervisor.access import TokenFile, TokenInvalid
from agt.supervisor.actions import Refused
from agt.supervisor.control import TcpListening
from agt.supervisor.tokens import TokenMade, TokenOrder, TokenPage, TokenRevoked

log = logging.getLogger("agt.supervisor")

_ASK: Final = "agt token list shows them"


class _Failures(msgspec.Struct, frozen=True):
    count: int


class TokenDesk:
    """The tokens of one supervisor."""

    def __init__(self, file: TokenFile, books: Bookkeeper) -> None:
        self.file, self._books = file, books

    async def tokens(self) -> TokenPage:
        """Return all tokens, by name.

        Raises:
            Refused: `unavailable` when the file can't be used.
        """
        try:
            return self.file.page()
        except SupervisorError as error:
            raise Refused("unavailable", error.what, error.hint) from error

    async def create_token(self, order: TokenOrder) -> TokenMade:
        """Make a token.

        Raises:
            Refused: `refused` when the name is taken or none, `unavailable` when the file can't be used.
        """
        try:
            made = await anyio.to_thread.run_sync(self.file.create, order)
        except (TokenInvalid, SupervisorError) as error:
            self._books.note("token-create", order, by=order.by, outcome="refused", says=str(error))
            if isinstance(error, TokenInvalid):
                raise Refused("refused", str(error), _ASK) from error
            raise Refused("unavailable", error.what, error.hint) from error
        self._books.note("token-create", order, by=order.by, outcome="done", says=f"{made.name}, {made.role}")
        return made

    async def revoke_token(self, name: str, *, by: str) -> TokenRevoked:
        """Let a token count no longer.

        Raises:
            Refused: `unknown` when there is none of that name, `unavailable` when the file can't be used.
        """
        try:
            revoked = await anyio.to_thread.run_sync(self.file.revoke, name)
        except KeyError:
            raise Refused("unknown", f"there is no token {name[:64]!r}", _ASK) from None
        except SupervisorError as error:
            raise Refused("unavailable", error.what, error.hint) from error
        self._books.note("token-revoke", revoked, by=by, outcome="done", says=revoked.name)
        return revoked

    def listening(self, address: tuple[str, int] | None) -> TcpListening | None:
        """Return how the control API listens at an address, None for nowhere."""
        if address is None:
            return None
        return TcpListening(
            host=address[0],
            port=address[1],
            tokens=self.file,
            on_failures=self.note_failures,
            on_listening=_say_address,
        )

    def note_failures(self, peer: str, count: int) -> None:
        """Put failed authentication into the audit: from where, how often, and nothing of what was shown."""
        says = f"{count} request{'s' * (count != 1)} without a valid token"
        self._books.note("authentication", _Failures(count=count), by=f"peer:{peer}", outcome="refused", says=says)


def _say_address(host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    log.info("the control API listens on http://%s:%d, for those with a token", shown, port)
