"""The demo's names in the run directory, and the ports that its processes tell each other there."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

CONTROL, CANDIDATE = "legacy", "reliable"
"""The runtimes' names in the demo's plan, used where no selector has been read."""


class Ports(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway listens, `gateway.json`; kept over its restarts, so that devices find it again."""

    cync: int
    lines: int
    native: int


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Paths in one run directory."""

    run: Path
    gateway: str = ""
    """Which of several gateways, and of their fleets; empty for the only one."""

    @property
    def selector(self) -> Path:
        """The selector file."""
        return self.run / "selector.toml"

    @property
    def environment(self) -> Path:
        """Variables that work on live processes."""
        return self.run / "agt.env"

    @property
    def gateway_api(self) -> Path:
        """The router's API."""
        return self._own("gateway", ".sock")

    @property
    def sources_socket(self) -> Path:
        """Where the gateway takes commands from the sources."""
        return self._own("sources", ".sock")

    @property
    def fleet_socket(self) -> Path:
        """Where the fleet takes faults."""
        return self._own("fleet", ".sock")

    @property
    def twin_socket(self) -> Path:
        """Where the fleet's stand-in device takes mirrored messages."""
        return self._own("twin", ".sock")

    @property
    def control_twin_socket(self) -> Path:
        """Where the fleet's other stand-in swallows what control would have written."""
        return self._own("control-twin", ".sock")

    @property
    def shadow_rules(self) -> Path:
        """What counts as a difference of mirrored messages; need not be there."""
        return self.run / "shadow.toml"

    @property
    def events_socket(self) -> Path:
        """Where the gateway admits sources of events."""
        return self._own("events", ".sock")

    @property
    def nonce(self) -> Path:
        """What a source has to know of this start of the gateway."""
        return self._own("gateway", ".nonce")

    def event_log(self, source: str) -> Path:
        """Where a source keeps its events."""
        return self._own(f"events-{source}", ".jsonl")

    @property
    def checkpoint(self) -> Path:
        """The daemon's cursors and projection."""
        return self.run / "daemon.checkpoint"

    @property
    def listings_socket(self) -> Path:
        """Where the daemon lists the fleet."""
        return self.run / "daemon.sock"

    @property
    def hook_socket(self) -> Path:
        """Where a gateway with `--allow-loss` takes the test's order to lose messages."""
        return self._own("hook", ".sock")

    @property
    def sources_log(self) -> Path:
        """What the sources sent and were told."""
        return self._own("sources", ".jsonl")

    @property
    def devices_log(self) -> Path:
        """What the devices did."""
        return self._own("devices", ".jsonl")

    @property
    def ledger(self) -> Path:
        """The gateway's journal."""
        return self._own("ledger", ".jsonl")

    @property
    def ports(self) -> Path:
        """Where the gateway listens."""
        return self._own("gateway", ".json")

    def _own(self, stem: str, suffix: str) -> Path:
        return self.run / f"{stem}{'-' if self.gateway else ''}{self.gateway}{suffix}"

    def read_ports(self) -> Ports | None:
        """Return where the gateway listens, None when it hasn't said so yet."""
        try:
            return msgspec.json.decode(self.ports.read_bytes(), type=Ports)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def write_ports(self, ports: Ports) -> None:
        """Say where the gateway listens; whole or not at all. What it says already needs no disk."""
        if self.read_ports() == ports:
            return
        fresh = self.ports.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(ports))
        fresh.replace(self.ports)


def demo_files() -> DemoFiles:
    """Return the files of the run directory and the gateway that the environment names.

    Raises:
        SystemExit: when it names none.
    """
    run = os.environ.get("AGT_RUN_DIR")
    if not run:
        raise SystemExit("AGT_RUN_DIR is not set; this process is started by `agt up` or `agt demo`")
    return DemoFiles(Path(run), os.environ.get("AGT_DEMO_GATEWAY", ""))
