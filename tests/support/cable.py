"""A network between a dialler and a listener that can be cut, unplugged and stalled: plain threads on real sockets."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cable:
    """Relays connections to one port."""

    def __init__(self, target: int) -> None:
        self.dialled = 0
        """Connections made so far."""
        self.plugged = True
        """Whether new connections come through."""
        self.cut_after = 0
        """Bytes towards the listener after which each new connection breaks; 0 means never."""
        self.damage = False
        """Set, one byte of what is carried next towards the listener is changed."""
        self.flowing = threading.Event()
        """Cleared, nothing is carried towards the listener, and nobody is told."""
        self.flowing.set()
        self._target = target
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept)

    def cut(self) -> None:
        """Break every connection."""
        for pair in tuple(self._pairs):
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break everything and end the threads."""
        self.plugged = False
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self.flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self.dialled += 1
            try:
                callee = socket.create_connection(("127.0.0.1", self._target)) if self.plugged else None
            except OSError:
                callee = None
            if callee is None:
                caller.close()
                continue
            pair = caller, callee
            for sock in pair:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.add(pair)
            self._start(self._carry, pair)

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        back = threading.Thread(target=self._copy, args=(pair[1], pair[0], 0), daemon=True)
        back.start()
        self._copy(pair[0], pair[1], self.cut_after)
        back.join()
        self._pairs.discard(pair)
        for sock in pair:
            sock.close()

    def _copy(self, source: socket.socket, sink: socket.socket, limit: int) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if sink.getpeername()[1] == self._target:
                    self.flowing.wait()
                    data = self._damaged(data) if self.damage else data
                if limit and passed + len(data) > limit:
                    sink.sendall(data[: limit - passed])
                    break
                passed += len(data)
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _damaged(self, data: bytes) -> bytes:
        self.damage = False
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """Run a cable to a listener's port."""
    cable = Cable(port)
    try:
        yield cable
    finally:
        cable.close()
