"""The heliostat that is measured: a `serve` process with a configuration of its own, and requests to it."""

import base64
import concurrent.futures
import http.client
import json
import os
import threading
import time

import measure
from bench import Failed, Process, free_port

PASSWORD = "correct horse"
AUTHORIZATION = "Basic " + base64.b64encode(f"root:{PASSWORD}".encode()).decode()
# How many requests are sent at once where there are many to send.
SENDERS = 8


class Server:
    """A server in `bench.folder`; 8 rsyncs at once, in all and from one host, and everything else by default."""

    def __init__(self, bench, name="heliostat", role="Master()"):
        self.bench = bench
        self.name = name
        self.port = free_port()
        self.config = bench.folder / f"{name}.ron"
        self.config.write_text(
            f'(data_dir: "{bench.folder}/{name}-data", listen: "127.0.0.1:{self.port}", '
            f"rsync: (concurrent: 8, per_host: 8), role: {role})"
        )
        self.local = threading.local()
        self.process = None
        self.start()

    def start(self):
        """Starts the process; gives the time until /readyz answers 200."""
        command = [self.bench.binary, "serve", "--config", self.config]
        environment = {**os.environ, "HELIOSTAT_ROOT_PASSWORD": PASSWORD}
        started = time.monotonic()
        self.process = Process(command, self.bench.folder / f"{self.name}.log", environment)
        while not self._ready():
            self.process.check()
            if time.monotonic() - started > 60:
                raise Failed("the server was not ready within 60 s")
            time.sleep(0.0005)
        return time.monotonic() - started

    def _ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def close(self):
        self.process.end()

    @property
    def pid(self):
        return self.process.pid

    def cpu(self):
        """CPU seconds of the server itself, and of all others: the nursery, guardians and rsyncs that have ended."""
        own, ended = measure.cpu_seconds(self.pid)
        return own, ended + sum(sum(measure.cpu_seconds(pid)) for pid in measure.children(self.pid))

    def request(self, method, path, body=None):
        """One request on this thread's own connection; gives the JSON of the answer."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise Failed(f"{method} {path} was answered with {response.status}: {text.decode(errors='replace')[:1000]}")
        return json.loads(text) if text else None

    def many(self, requests):
        """Many requests, a few at once; gives the answers in order."""
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as senders:
            return list(senders.map(lambda request: self.request(*request), requests))

    def create(self, projects):
        """Creates manual projects from (id, source, destination); gives how long that took."""
        started = time.monotonic()
        self.many(
            ("POST", "/api/v1/projects", {
                "id": name, "source": source, "dest": str(dest), "schedule": {"manual": True},
            })
            for name, source, dest in projects
        )
        return time.monotonic() - started
