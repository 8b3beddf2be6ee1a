"""W13: what one run, one change and one event cost where there are many projects, slaves, runs and watchers."""

import contextlib
import http.client
import selectors
import socket
import threading
import time

import measure
import upstream
from bench import wait_for
from server import AUTHORIZATION, Server
from watch import Watch

SITES = (1000, 3000, 10_000)
NODES = 100
# Runs of the largest site, most of which find nothing new by the marker, and the pause between two of a project.
HISTORY = 50_000
PAUSE = "20s"
# Watchers, and how many of them never read.
STREAMS = 200
DEAF = 10
# How many changes and runs a cost is taken from.
CHANGES = 1000
RUNS = 400
# How long one round of runs may take.
PATIENCE = 600
# How long a server rests before it is read what it uses: what it does behind a change is over by then.
REST = 3


class Streams:
    """Watchers of all events. One thread reads what comes; some are never read."""

    def __init__(self, server, count, deaf):
        self.received = 0
        self.open = True
        self.selector = selectors.DefaultSelector()
        self.sockets = [self._watcher(server) for _ in range(count)]
        for watcher in self.sockets[deaf:]:
            watcher.setblocking(False)
            self.selector.register(watcher, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    @staticmethod
    def _watcher(server):
        watcher = socket.create_connection(("127.0.0.1", server.port), 10)
        watcher.sendall(f"GET /api/v1/events HTTP/1.0\r\nAuthorization: {AUTHORIZATION}\r\n\r\n".encode())
        return watcher

    def _read(self):
        while self.open:
            for key, _ in self.selector.select(0.1):
                with contextlib.suppress(BlockingIOError):
                    piece = key.fileobj.recv(1 << 16)
                    if not piece:
                        self.selector.unregister(key.fileobj)
                    self.received += piece.count(b"\nevent: ")

    def close(self):
        self.open = False
        self.thread.join()
        for watcher in self.sockets:
            watcher.close()


def w13(bench):
    """CPU per run, change, event and watcher; start, memory, and the two largest answers, as a site grows."""
    sites = [bench.number(projects) for projects in SITES]
    columns = [site(bench, projects, projects == sites[-1]) for projects in sites]
    names = list(columns[-1])
    rows = [[name, *(column.get(name) for column in columns)] for name in names]
    head = ["", *(f"{projects:,} projects" for projects in sites)]
    measure.table(f"W13: growth; {bench.number(NODES)} slaves, {STREAMS} watchers of which {DEAF} never read", head, rows)


def site(bench, projects, is_largest):
    """Makes a site of this size, and gives its row of figures by name."""
    figures = {}
    tree = bench.trees / f"upstream-{projects}"
    upstream.grow(tree / "tree", 1)
    (tree / "tree" / "lastupdate").write_text("1")
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(contextlib.closing(upstream.Daemon(bench.folder, tree, "TCP_NODELAY")))
        server = stack.enter_context(contextlib.closing(Server(bench, f"site-{projects}")))
        mirrors = bench.trees / f"mirrors-{projects}"
        names = [f"project-{number:05}" for number in range(projects)]
        cost(server, figures, "CPU per POST", projects, lambda: server.create(
            [(name, daemon.url("tree") + "/", mirrors / name) for name in names]
        ))
        some = names[:: max(1, projects // RUNS)][:RUNS]
        changed = (some * (CHANGES // len(some) + 1))[:CHANGES]
        cost(server, figures, "CPU per PATCH", CHANGES, lambda: change(server, changed))
        cost(server, figures, "CPU per run, without watchers", len(some), lambda: run(server, some))
        alone = figures["CPU per PATCH"][0]
        with contextlib.closing(Streams(server, STREAMS, DEAF)) as streams:
            before = server.cpu()[0]
            change(server, changed)
            time.sleep(REST)
            more = (server.cpu()[0] - before) * 1e6 - alone * 1000 * CHANGES
            figures["CPU per event and watcher"] = (max(0, more) / max(1, streams.received), "µs")
            cost(server, figures, "CPU per run, with watchers", len(some), lambda: run(server, some))
        add_nodes(server, figures, bench.number(NODES))
        if is_largest:
            history(bench, server, figures, names)
        figures["memory"] = (measure.memory_mib(server.pid, "VmRSS"), "MiB")
        server.close()
        figures["start after TERM"] = (server.start() * 1000, "ms")
        time.sleep(REST)
        figures["memory after it"] = (measure.memory_mib(server.pid, "VmRSS"), "MiB")
    return figures


def cost(server, figures, name, count, work):
    """Notes the server's own CPU time for each of so many pieces of work."""
    before = server.cpu()[0]
    work()
    time.sleep(REST)
    figures[name] = ((server.cpu()[0] - before) / count * 1000, "ms")


def change(server, names):
    """Changes projects one after another, on a connection that the server has not given up meanwhile."""
    server.local = threading.local()
    for number, name in enumerate(names):
        server.request("PATCH", f"/api/v1/projects/{name}", {"priority": number % 7})


def run(server, names):
    """Runs each of these projects once."""
    with contextlib.closing(Watch(server, names)) as watch:
        server.many(("POST", f"/api/v1/projects/{name}/sync") for name in names)
        watch.all_ended(PATIENCE)


def add_nodes(server, figures, nodes):
    """Adds slaves that have never called, and reads the two answers that grow with projects and slaves."""
    server.many(("POST", "/api/v1/nodes", {"name": f"node-{number:03}"}) for number in range(nodes))
    read(server, figures, "/metrics", "/metrics")
    read(server, figures, "a page of /api/v1/nodes", "/api/v1/nodes?limit=10000")
    figures["peak memory with both"] = (measure.memory_mib(server.pid, "VmHWM"), "MiB")


def read(server, figures, name, path):
    """Notes the time, the CPU time and the size of one answer."""
    before = server.cpu()[0]
    begun = time.monotonic()
    size = len(answer(server, path))
    figures[name] = ((time.monotonic() - begun) * 1000, "ms")
    figures[f"{name}, CPU"] = ((server.cpu()[0] - before) * 1000, "ms")
    figures[f"{name}, size"] = (size / (1 << 20), "MiB")


def answer(server, path):
    """The body of an answer, on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
        return connection.getresponse().read()


def history(bench, server, figures, names):
    """Lets schedules run every project again and again until the store has a long past; most runs find nothing new."""
    wanted = bench.number(HISTORY)
    schedule(server, names, {"every": PAUSE})
    begun = time.monotonic()
    before = ended(server)
    wait_for(f"{wanted} runs", lambda: ended(server) >= wanted, PATIENCE, 1)
    figures["runs"] = (ended(server), "")
    figures["scheduled runs per second"] = ((ended(server) - before) / (time.monotonic() - begun), "/s")
    schedule(server, names, {"manual": True})


def schedule(server, names, rule):
    """Gives every project this schedule."""
    server.many(("PATCH", f"/api/v1/projects/{name}", {"schedule": rule}) for name in names)


def ended(server):
    """How many runs have ended since the store was made."""
    text = answer(server, "/metrics").decode()
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("heliostat_runs_total{"))
