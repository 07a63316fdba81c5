"""Asking a daemon for a JSON document, as a plan names it: bounded in time and size, one reason when it fails."""

from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from agt.router import RouterError
from agt.supervisor._errors import SupervisorError

ASK_TIMEOUT_S: Final = 5.0
"""Whoever takes longer to answer gives no answer."""


class NotAnswered(SupervisorError):
    """Raised when a source gives no JSON document in time."""


async def ask_document(text: str, run: Path, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
    """Return the JSON value that a source (`unix:daemon.sock?send=status`) answers with.

    Args:
        text: The source's short text; paths of sockets and files are taken from the run directory.
        run: The run directory.
        timeout_s: The longest wait.

    Raises:
        NotAnswered: when there is no answer, or it is no JSON.
    """
    from agt.router.parity import make_source, parse_source  # noqa: PLC0415 - it brings an HTTP client along.

    try:
        spec = parse_source(text)
        if spec.unix:
            spec = msgspec.structs.replace(spec, unix=str(run / spec.unix))
        with anyio.fail_after(timeout_s):
            answer = await make_source(spec, base=run).ask()
        if answer.refused:
            raise NotAnswered(f"answers with status {answer.status}")
        return answer.decoded()
    except TimeoutError:
        raise NotAnswered(f"no answer within {timeout_s:g} s") from None
    except (RouterError, ValueError) as error:
        raise NotAnswered(str(error)) from error
