"""Projection parity: two runtimes' listings compared by key and signature fields, live, until they settle.

The parts, from the outside in: a `Projection` says what must be the same, a source (`make_source`) brings a listing
from a command, a socket, HTTP, a function or a file, `check_parity` takes both until the verdict is final, and a
`ParityResult` is what gates and people read. `compare_listings` and `Settling` are the pure cores.
"""

from agt.router._ignore import IgnoreRule
from agt.router.parity._command import CommandSource
from agt.router.parity._compare import Comparison, Difference, compare_listings
from agt.router.parity._errors import ParityInvalid
from agt.router.parity._file import Named, load_parity, parse_parity
from agt.router.parity._http import HttpSource
from agt.router.parity._listing import Layout, Listing, ListingRefused, decode_listing, listing_of
from agt.router.parity._local import FileSource, FunctionSource
from agt.router.parity._numbers import Tolerance, relative_delta
from agt.router.parity._projection import Projection, check_projection
from agt.router.parity._result import Found, ParityResult, SideSeen
from agt.router.parity._run import check_parity
from agt.router.parity._settling import Lasting, Settling
from agt.router.parity._socket import SocketSource, tcp_source, unix_source
from agt.router.parity._source import Answer, Call, Limits, Source, SourceFailed
from agt.router.parity._spec import SourceSpec, make_source, parse_source
from agt.router.parity._table import parity_lines
from agt.router.parity._values import ValueDifference, differences
from agt.router.parity._verdict import Check, Verdict, worst_of

__all__ = (
    "Answer",
    "Call",
    "Check",
    "CommandSource",
    "Comparison",
    "Difference",
    "FileSource",
    "Found",
    "FunctionSource",
    "HttpSource",
    "IgnoreRule",
    "Lasting",
    "Layout",
    "Limits",
    "Listing",
    "ListingRefused",
    "Named",
    "ParityInvalid",
    "ParityResult",
    "Projection",
    "Settling",
    "SideSeen",
    "SocketSource",
    "Source",
    "SourceFailed",
    "SourceSpec",
    "Tolerance",
    "ValueDifference",
    "Verdict",
    "check_parity",
    "check_projection",
    "compare_listings",
    "decode_listing",
    "differences",
    "listing_of",
    "load_parity",
    "make_source",
    "parity_lines",
    "parse_parity",
    "parse_source",
    "relative_delta",
    "tcp_source",
    "unix_source",
    "worst_of",
)
