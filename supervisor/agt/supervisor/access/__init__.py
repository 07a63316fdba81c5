"""Who may do what at the control API: tokens with roles, budgets of requests, and which Host and Origin are ours.

Pure but for `TokenFile`; the control API's doors put it before every request. What is said over the wire is in
`agt.supervisor.tokens`, so that the command line needn't load this.
"""

from agt.supervisor.access._addresses import AddressInvalid, Misdirected, OriginCheck, parse_address
from agt.supervisor.access._buckets import Bucket, Budgets
from agt.supervisor.access._callers import LOCAL, Caller, bind_name, may_call, recorded_name
from agt.supervisor.access._failures import Failures
from agt.supervisor.access._file import TokenFile, TokenFileDamaged
from agt.supervisor.access._tokens import TokenInvalid, TokenRecord, make_token, match_token

__all__ = (
    "LOCAL",
    "AddressInvalid",
    "Bucket",
    "Budgets",
    "Caller",
    "Failures",
    "Misdirected",
    "OriginCheck",
    "TokenFile",
    "TokenFileDamaged",
    "TokenInvalid",
    "TokenRecord",
    "bind_name",
    "make_token",
    "match_token",
    "may_call",
    "parse_address",
    "recorded_name",
)
