"""The guide's dark launch runs as printed: a router with its stand-ins compares what it mirrors."""

import re
import time
from pathlib import Path

import anyio
import pytest

from agt.router import Message, Route, Router, Selector, SelectorFile
from agt.router.testing import ScriptedPath

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "shadow.md"


@pytest.fixture
def anyio_backend() -> str:
    """One is enough: nothing here depends on it."""
    return "asyncio"


@pytest.mark.anyio
async def test_the_stand_ins_of_the_page_are_compared(tmp_path: Path) -> None:
    """Commands that control writes go to the twin as well, and both end well; an unknown one differs."""
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"__name__": "guide"}
    exec(compile(code, str(GUIDE), "exec"), names)
    runtimes, dark_launch = names["RUNTIMES"], names["dark_launch"]
    file = SelectorFile(tmp_path / "selector.toml", runtimes=runtimes)  # type: ignore[arg-type]
    file.write(Selector(runtimes=runtimes, runtime=Route(shadow="candidate")), expected=0)  # type: ignore[arg-type]
    router = dark_launch(file)  # type: ignore[operator]
    assert isinstance(router, Router)
    router.attach("lamp-1", {"old": ScriptedPath(time.monotonic, legacy=True)})
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(router.run)
            for number, text in enumerate((b"set 1 on", b"set 2 off", b"dim 3 5"), 1):
                router.send(Message("lamp-1", number, text))
            while sum(tried.compared for tried in router.shadow_report().runtimes) < 3:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    (tried,) = router.shadow_report().runtimes
    assert (tried.runtime, tried.compared, tried.differences) == ("new", 3, 1)
