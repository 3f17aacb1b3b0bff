"""A TCP relay that a test can cut: what a server looks like that dies under an open connection, or as it answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

COMMIT = bytes.fromhex("0002b0120000")
"""Bolt's message that ends a transaction."""


class Relay:
    """Forwards connections from a free port of loopback to `target` while it is not cut.

    Attributes:
        commits: how many transactions clients of a Neo4j have asked to end.
        lose: the number of the one whose answer gets lost: the server hears of it, and the client loses its connection.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.commits, self.lose = 0, 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._whole.clear()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Forward again."""
        self._whole.set()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            if not self._whole.is_set():
                near.close()
                continue
            far = socket.create_connection(self._target)
            near.settimeout(None)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=(source, sink, near))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source is client and COMMIT in data:
                    self.commits += 1
                    if self.commits == self.lose:
                        client.shutdown(socket.SHUT_RDWR)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()
