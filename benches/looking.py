"""W8: what it costs to be looked at: /metrics, the pages' requests, and many watchers, with a thousand projects."""

import contextlib
import datetime
import http.client
import re
import socket
import threading
import time
import urllib.parse

import measure
from http_workloads import with_projects
from server import AUTHORIZATION
from watch import Watch

# How often each request is sent, on one connection, one after the other.
TIMES = 50
WATCHERS = 50
NODES = 100
# How many projects are synced while they watch, and how long that may take.
SYNCED = 200
PATIENCE = 300
# How long the server rests before its memory is read.
REST = 2


def w8(bench):
    """Times, sizes and memory of what people and monitoring systems look at."""
    server, names = with_projects(bench)
    requests(bench, server, f"{len(names)} projects", (
        ("GET /metrics", ["/metrics"]),
        ("GET /api/v1/status", ["/api/v1/status"]),
        ("the first screen: status, alerts and the whole list", ["/api/v1/status", "/api/v1/alerts", "/api/v1/projects?limit=1000"]),
        ("GET /feed.atom", ["/feed.atom"]),
        ("GET /status/tunasync.json", ["/status/tunasync.json"]),
    ))
    page(server)
    watchers(bench, server, names)
    grow(server, names)
    requests(bench, server, f"{len(names)} projects that start daily and {NODES} slaves", (
        ("the matrix: GET /api/v1/nodes", ["/api/v1/nodes"]),
        ("the heat map: GET /api/v1/schedule/load", ["/api/v1/schedule/load?hours=24"]),
        ("the next starts: GET /api/v1/schedule", ["/api/v1/schedule?limit=40"]),
    ))


def grow(server, names):
    """Gives every project a time of the day that is far away, and the server slaves."""
    hour = (datetime.datetime.now(datetime.UTC).hour + 12) % 24
    schedule = {"schedule": {"cron": {"hour": str(hour), "minute": "H"}}}
    server.many(("PATCH", f"/api/v1/projects/{name}", schedule) for name in names)
    server.many(("POST", "/api/v1/nodes", {"name": f"node-{number:02}"}) for number in range(NODES))


def requests(bench, server, site, wanted):
    """Each of these, one after the other."""
    lines = []
    for what, paths in wanted:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        own, _ = server.cpu()
        samples, size = [], 0
        for _ in range(TIMES * bench.repeat):
            begun = time.monotonic()
            size = sum(len(read(connection, path)) for path in paths)
            samples.append((time.monotonic() - begun) * 1000)
        cost = (server.cpu()[0] - own) / len(samples) * 1000
        samples.sort()
        connection.close()
        lines.append([what, (measure.median(samples), "ms"), (samples[len(samples) * 95 // 100], "ms"), (cost, "ms"), (size / 1024, "KiB")])
    head = ["", "median", "95 of 100 within", "server's CPU", "size"]
    measure.table(f"W8: requests with {site}, one after the other", head, lines)


def read(connection, path):
    connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, (path, response.status)
    return text


def page(server):
    """The page and everything that it loads, as a browser that accepts compressed answers gets it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    seen, waiting, size = set(), ["/"], 0
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for encoding in ("identity", "gzip"):
            connection.request("GET", path, headers={"Accept-Encoding": encoding})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                break
            if encoding == "identity":
                text = body.decode(errors="replace")
                names = re.findall(r"""["']((?:\./|/)[\w./-]+\.(?:js|css|svg))["']""", text)
                waiting += [urllib.parse.urljoin(path, name) for name in names]
            else:
                size += len(body)
    connection.close()
    print(f"The page is {len(seen)} files, {size / 1024:.1f} KiB on the wire.", flush=True)


def watchers(bench, server, names):
    """Memory with many event streams open, at rest and while runs go."""
    time.sleep(REST)
    alone = measure.memory_mib(server.pid, "VmRSS")
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(contextlib.closing(stream(server))) for _ in range(WATCHERS)]
        heard = [0] * WATCHERS
        for number, one in enumerate(streams):
            threading.Thread(target=drain, args=(one, heard, number), daemon=True).start()
        time.sleep(REST)
        watched = measure.memory_mib(server.pid, "VmRSS")
        some = names[: min(SYNCED, len(names))]
        own, _ = server.cpu()
        with contextlib.closing(Watch(server, some)) as watch:
            server.many(("POST", f"/api/v1/projects/{name}/sync") for name in some)
            watch.all_ended(PATIENCE)
        spent = server.cpu()[0] - own
        time.sleep(REST)
        busy = measure.memory_mib(server.pid, "VmHWM")
    head = ["", "memory"]
    lines = [
        ["no watcher, at rest", (alone, "MiB")],
        [f"{WATCHERS} watchers, at rest", (watched, "MiB")],
        [f"peak, {WATCHERS} watchers of {len(some)} runs", (busy, "MiB")],
    ]
    measure.table(f"W8: {WATCHERS} event streams", head, lines)
    print(
        f"Each watcher heard {measure.median(heard) / 1024:.0f} KiB; {len(some)} runs with all of them took the server "
        f"{spent:.2f} CPU-s.", flush=True
    )


def stream(server):
    one = socket.create_connection(("127.0.0.1", server.port), 10)
    one.sendall(f"GET /api/v1/events HTTP/1.0\r\nAuthorization: {AUTHORIZATION}\r\n\r\n".encode())
    return one


def drain(one, heard, number):
    """Reads until the end, as a page would."""
    one.settimeout(None)
    with contextlib.suppress(OSError):
        while piece := one.recv(1 << 16):
            heard[number] += len(piece)
