"""What a restarted fleet knows of its earlier life, read back from its own logs.

Devices keep their watermarks, as flash memory would; sources go on counting; and what a dead source had sent and
never heard about is noted as indeterminate, since nobody will answer it any more.
"""

from dataclasses import dataclass, field

from agt.chaos.checkers import Effect, Sent, Told, read_records
from agt.chaos.demo._files import DemoFiles


@dataclass(slots=True)
class Memory:
    """The state of an earlier incarnation."""

    watermarks: dict[str, int] = field(default_factory=dict)
    """The highest number that each device acted on."""
    numbers: dict[str, int] = field(default_factory=dict)
    """The last number that each source gave."""
    unanswered: list[Sent] = field(default_factory=list)
    """Sent and never told about."""


def recall(files: DemoFiles) -> Memory:
    """Read the logs back; empty on a first start.

    Raises:
        ValueError: when a log is damaged.
    """
    memory = Memory()
    for record in read_records(files.devices_log):
        if isinstance(record, Effect):
            memory.watermarks[record.device] = max(record.number, memory.watermarks.get(record.device, 0))
    open_messages: dict[tuple[str, int], Sent] = {}
    for record in read_records(files.sources_log):
        if isinstance(record, Sent):
            memory.numbers[record.device] = max(record.number, memory.numbers.get(record.device, 0))
            open_messages[record.device, record.number] = record
        elif isinstance(record, Told):
            open_messages.pop((record.device, record.number), None)
    memory.unanswered = list(open_messages.values())
    return memory
