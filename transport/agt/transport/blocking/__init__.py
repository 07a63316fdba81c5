"""Reliable messages for plain threads: no event loop, no async, the same links and promises.

`BlockingTransport` dials and keeps a connection up, `BlockingListener` accepts; each has one thread of its own for I/O,
a daemon that ends with `close`. Everything may be called from any thread; what waits says for how long. Neither
survives a fork: a child process has to make its own, and using the parent's there is an error that says so.
"""

from agt.transport.blocking._handle import BlockingDelivery
from agt.transport.blocking._listener import BlockingListener
from agt.transport.blocking._session import BlockingSession
from agt.transport.blocking._transport import BlockingTransport

__all__ = ("BlockingDelivery", "BlockingListener", "BlockingSession", "BlockingTransport")
