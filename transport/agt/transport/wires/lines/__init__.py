"""The wire of legacy sockets that speak lines: `hello`, `set`, `ok`, and the controller's words of warning."""

from agt.transport.wires.lines._config import LinesConfig
from agt.transport.wires.lines._link import LinesLink, Role
from agt.transport.wires.lines._text import MAX_LINE_BYTES, Greeting, greeting_line, number_in, read_greeting

__all__ = (
    "MAX_LINE_BYTES",
    "Greeting",
    "LinesConfig",
    "LinesLink",
    "Role",
    "greeting_line",
    "number_in",
    "read_greeting",
)
