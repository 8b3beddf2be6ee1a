"""W4 and W6: what reading a thousand projects costs, and how fast a server with them starts."""

import contextlib
import os
import time

import http_load
import measure
import upstream
from server import Server
from watch import Watch

SECONDS = 5
CONNECTIONS = 8
LIST = "/api/v1/projects?limit=1000"
# How long a server rests before its idle memory is read.
REST = 3
# How often each project of W6 has run before the second kind of start, and how long one round may take.
ROUNDS = 5
PATIENCE = 300


def with_projects(bench):
    """A server that has a thousand projects of one file each; gives it and their ids."""
    server = bench.keep(Server(bench))
    names = [f"project-{number:04}" for number in range(bench.number(1000))]
    for name in names:
        upstream.grow(bench.trees / "upstream" / name, 1)
    daemon = bench.keep(upstream.Daemon(bench.folder, bench.trees / "upstream", "TCP_NODELAY"))
    mirrors = bench.trees / "mirrors"
    taken = server.create([(name, daemon.url(name) + "/", mirrors / name) for name in names])
    print(f"\n{len(names)} projects were created in {taken:.2f} s.")
    return server, names


def w4(bench):
    """The list of all projects, in full and by ETag."""
    server, names = with_projects(bench)
    lines = []
    for name, conditional in (("200, the whole list", False), ("304, by If-None-Match", True)):
        rates, costs, clients, sizes = [], [], [], []
        for _ in range(bench.repeat):
            own, _ = server.cpu()
            load = http_load.run(server.port, LIST, CONNECTIONS, SECONDS, conditional)
            spent = server.cpu()[0] - own
            rates.append(load.requests / load.seconds)
            costs.append(spent / load.requests * 1e6)
            clients.append(load.cpu / load.requests * 1e6)
            sizes.append(load.body)
        lines.append([
            name, (measure.median(rates), "/s"), (measure.median(costs), "µs"), (measure.median(clients), "µs"),
            (measure.median(sizes) / 1024, "KiB"),
        ])
    head = ["", "requests", "server's CPU per request", "client's CPU per request", "body"]
    measure.table(f"W4: GET {LIST} of {len(names)} projects, {CONNECTIONS} keep-alive connections, {SECONDS} s", head, lines)
    cores = os.cpu_count()
    print(f"The client shares the {cores} cores, so the rate holds its cost too; the server's CPU per request does not.")
    print(f"Peak memory of the server: {measure.memory_mib(server.pid, 'VmHWM'):.1f} MiB.", flush=True)


def w6(bench):
    """Starts with a thousand projects in the store: without a past, and with some runs of each."""
    server, names = with_projects(bench)
    lines = [starts(bench, server, "no runs")]
    for _ in range(ROUNDS):
        with contextlib.closing(Watch(server, names)) as watch:
            server.many(("POST", f"/api/v1/projects/{name}/sync") for name in names)
            watch.all_ended(PATIENCE)
    lines.append(starts(bench, server, f"{ROUNDS * len(names)} runs"))
    head = ["history", "start to the first 200 on /readyz", f"memory after {REST} s", "CPU until then"]
    measure.table(f"W6: start with {len(names)} projects in the store", head, lines)


def starts(bench, server, name):
    """Stops and starts the server; gives a line of medians."""
    times, idle, cpu = [], [], []
    for _ in range(bench.repeat):
        server.close()
        times.append(server.start() * 1000)
        time.sleep(REST)
        idle.append(measure.memory_mib(server.pid, "VmRSS"))
        cpu.append(server.cpu()[0] * 1000)
    return [name, (measure.median(times), "ms"), (measure.median(idle), "MiB"), (measure.median(cpu), "ms")]
