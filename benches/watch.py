"""Waiting for the ends of many runs without asking again and again, which would cost the server CPU of its own.

One connection to /api/v1/events hears of every end. When the stream says that it lost some (`resync`), the projects
are listed to see which ended meanwhile.
"""

import datetime
import json
import socket
import time

from bench import Failed
from server import AUTHORIZATION

GOOD = {"succeeded", "unchanged"}


class Watch:
    """Hears of ends from its creation on. To be closed."""

    def __init__(self, server, projects):
        self.server = server
        self.waiting = set(projects)
        self.since = datetime.datetime.now(datetime.UTC)
        self.resyncs = 0
        self.stream = socket.create_connection(("127.0.0.1", server.port), 10)
        # HTTP/1.0, so that the stream comes as it is, without chunks.
        request = f"GET /api/v1/events?types=run.ended HTTP/1.0\r\nAuthorization: {AUTHORIZATION}\r\n\r\n"
        self.stream.sendall(request.encode())
        self.buffer = b""
        status = self._line(time.monotonic() + 10)
        if b" 200 " not in status:
            raise Failed(f"/api/v1/events was answered with {status!r}")

    def close(self):
        self.stream.close()

    def all_ended(self, within):
        """Waits until every project has ended one run; gives the moment (monotonic) when the last end was heard."""
        deadline = time.monotonic() + within
        while self.waiting:
            line = self._line(deadline)
            if not line.startswith(b"data:"):
                continue
            event = json.loads(line[5:])
            if event["type"] == "resync":
                self.resyncs += 1
                self._list()
            else:
                self._ended(event["project"], event["state"], event.get("reason"))
        return time.monotonic()

    def _line(self, deadline):
        while b"\n" not in self.buffer:
            self.stream.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                piece = self.stream.recv(1 << 16)
            except TimeoutError:
                raise Failed(f"{len(self.waiting)} runs have not ended in time, {sorted(self.waiting)[:3]} among them")
            if not piece:
                raise Failed("the stream of events ended")
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def _list(self):
        for project in self.server.request("GET", "/api/v1/projects?limit=1000")["items"]:
            last = project["last_run"]
            if last and datetime.datetime.fromisoformat(last["ended"]) >= self.since:
                self._ended(project["id"], last["state"], last["reason"])

    def _ended(self, project, state, reason):
        if project in self.waiting and state not in GOOD:
            raise Failed(f"the run of {project} ended as {state}: {reason}")
        self.waiting.discard(project)
