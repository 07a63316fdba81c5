"""What a supervisor takes beside gateways with many real devices, while nothing happens."""

from pathlib import Path

import anyio
import pytest

from agt.chaos.scale import IdleWork, idle_devices


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_supervisor_with_ten_thousand_devices_idles(run: Path) -> None:
    """Twice the goals at most, so that a busy machine doesn't fail it."""
    figures = anyio.run(idle_devices, IdleWork(gateways=2), run, lambda _: None)
    assert figures.devices >= 10_000
    assert figures.core_share < 0.06, figures
    assert figures.peak_mib < 300, figures
