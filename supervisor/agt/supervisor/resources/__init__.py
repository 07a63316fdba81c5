"""What components cost: processor time, resident memory, open descriptors; out of `/proc`, as numbers for gates."""

from agt.supervisor.resources._book import RESOURCES, UsageBook, key_of
from agt.supervisor.resources._proc import Usage, parse_usage, read_usage
from agt.supervisor.resources._watch import ComponentUsage

__all__ = (
    "RESOURCES",
    "ComponentUsage",
    "Usage",
    "UsageBook",
    "key_of",
    "parse_usage",
    "read_usage",
)
