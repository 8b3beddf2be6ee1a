"""A small load generator: one process per connection, raw sockets, one request at a time.

It asks for the same address again and again, reads each answer to its end, and counts. It is Python and takes CPU on
the same machine, so it says how much.
"""

import multiprocessing
import re
import signal
import socket
import time
from dataclasses import dataclass

from bench import Failed
from server import AUTHORIZATION

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ETAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)


@dataclass
class Load:
    """What came of it."""

    requests: int
    seconds: float
    cpu: float
    body: int


def run(port, path, connections, seconds, conditional):
    """Loads the server for some seconds; `conditional` sends the ETag of a first answer, and expects 304."""
    context = multiprocessing.get_context("fork")
    request = _request(path)
    status, head, body = Connection(port).ask(request)
    if status != 200:
        raise Failed(f"GET {path} was answered with {status}")
    if conditional:
        request = _request(path, ETAG.search(head)[1])
    results, barrier = context.Queue(), context.Barrier(connections)
    workers = [
        context.Process(target=_work, args=(port, request, 304 if conditional else 200, seconds, barrier, results))
        for _ in range(connections)
    ]
    try:
        for worker in workers:
            worker.start()
        done = [results.get(timeout=seconds + 60) for _ in workers]
    finally:
        for worker in workers:
            worker.join(1)
            worker.kill()
    wrong = [answer for answer in done if isinstance(answer, str)]
    if wrong:
        raise Failed(f"GET {path}: {wrong[0]}")
    return Load(
        sum(requests for requests, _, _ in done),
        max(taken for _, taken, _ in done),
        sum(cpu for _, _, cpu in done),
        0 if conditional else body,
    )


def _request(path, etag=None):
    condition = b"If-None-Match: " + etag + b"\r\n" if etag else b""
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {AUTHORIZATION}\r\n".encode() + condition + b"\r\n"
    )


def _work(port, request, expected, seconds, barrier, results):
    # Ctrl-C is the parent's to answer; TERM ends a worker as it ends any process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        connection = Connection(port)
        barrier.wait(30)
        started = time.monotonic()
        end = started + seconds
        before = time.process_time()
        count = 0
        while time.monotonic() < end:
            status, _, _ = connection.ask(request)
            if status != expected:
                raise Failed(f"answered with {status} instead of {expected}")
            count += 1
        results.put((count, time.monotonic() - started, time.process_time() - before))
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")


class Connection:
    """One kept-alive connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.space = memoryview(bytearray(4 << 20))

    def ask(self, request):
        """Sends a request; gives the answer's status, head, and length of its body."""
        self.socket.sendall(request)
        filled = self._receive(0)
        while (end := bytes(self.space[:min(filled, 4096)]).find(b"\r\n\r\n")) < 0:
            filled = self._receive(filled)
        head = bytes(self.space[:end])
        length = LENGTH.search(head)
        body = int(length[1]) if length else 0
        left = end + 4 + body - filled
        while left > 0:
            left -= self.socket.recv_into(self.space) or self._lost()
        return int(head[9:12]), head, body

    def _receive(self, filled):
        return filled + (self.socket.recv_into(self.space[filled:]) or self._lost())

    @staticmethod
    def _lost():
        raise Failed("the connection was closed")
