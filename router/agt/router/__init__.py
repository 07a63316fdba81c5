"""Which path a message takes, why, and the hand-over between paths.

This page is the public door. What needs an extra has a door of its own: `agt.router.serving` (HTTP on a Unix
socket), `agt.router.watching` (files) and `agt.router.metrics` (Prometheus). `agt.router.notifying` says that a
process is ready.
"""

from agt.router._batch import MoveBatch, MoveReceipt
from agt.router._canary import CanaryRouter
from agt.router._collections import keep_collections_short
from agt.router._counts import Anomaly, Counts
from agt.router._decision import ChainLink, Decision, decide
from agt.router._environment import Overlaid, Switch, overlay, parse_env_file
from agt.router._errors import (
    CommentsWouldGo,
    GenerationConflict,
    MoveRefused,
    RestartRefused,
    RouterError,
    SelectorInvalid,
    SelectorKilled,
    SelectorUnwritable,
    SocketUnusable,
)
from agt.router._explain import Explanation, explain
from agt.router._journal import LedgerJournal
from agt.router._ledger import Ledger
from agt.router._mover import MoveLimits
from agt.router._path import Closable, InDoubt, Message, Path, Withdrawn
from agt.router._paths import LegacyPath, ReliablePath
from agt.router._position import POSITION_VERSION, moves_at, order, position
from agt.router._problem import Problem
from agt.router._restart import RESTART_MAX, Restart, RestartOrder, RestartReceipt
from agt.router._router import Router
from agt.router._selector import ForcedMode, Meaning, Override, Route, Runtimes, Selector
from agt.router._selector_file import MemorySelector, SelectorFile, SelectorReading, SelectorState
from agt.router._selector_text import check_selector, format_selector, parse_selector
from agt.router._sessions import SESSIONS_PAGE_MAX, SessionPage, SessionStatus
from agt.router._status import DevicesInOrder, DeviceStatus, LedgerStatus, RoutePreview, RouterStatus
from agt.router._steering import SelectorSource
from agt.router._survey import ORDERED_MAX
from agt.router.shadow import Shadow, ShadowReport, Twin

__all__ = (
    "ORDERED_MAX",
    "POSITION_VERSION",
    "RESTART_MAX",
    "SESSIONS_PAGE_MAX",
    "Anomaly",
    "CanaryRouter",
    "ChainLink",
    "Closable",
    "CommentsWouldGo",
    "Counts",
    "Decision",
    "DeviceStatus",
    "DevicesInOrder",
    "Explanation",
    "ForcedMode",
    "GenerationConflict",
    "InDoubt",
    "Ledger",
    "LedgerJournal",
    "LedgerStatus",
    "LegacyPath",
    "Meaning",
    "MemorySelector",
    "Message",
    "MoveBatch",
    "MoveLimits",
    "MoveReceipt",
    "MoveRefused",
    "Overlaid",
    "Override",
    "Path",
    "Problem",
    "ReliablePath",
    "Restart",
    "RestartOrder",
    "RestartReceipt",
    "RestartRefused",
    "Route",
    "RoutePreview",
    "Router",
    "RouterError",
    "RouterStatus",
    "Runtimes",
    "Selector",
    "SelectorFile",
    "SelectorInvalid",
    "SelectorKilled",
    "SelectorReading",
    "SelectorSource",
    "SelectorState",
    "SelectorUnwritable",
    "SessionPage",
    "SessionStatus",
    "Shadow",
    "ShadowReport",
    "SocketUnusable",
    "Switch",
    "Twin",
    "Withdrawn",
    "check_selector",
    "decide",
    "explain",
    "format_selector",
    "keep_collections_short",
    "moves_at",
    "order",
    "overlay",
    "parse_env_file",
    "parse_selector",
    "position",
)
