"""W4 and W6: what reading a thousand projects costs, and how fast a server with them starts."""

import os
import time

import http_load
import measure
from server import Server

SECONDS = 5
CONNECTIONS = 8
LIST = "/api/v1/projects?limit=1000"
# How long a server rests before its idle memory is read.
REST = 3


def with_projects(bench):
    """A server that has a thousand projects."""
    server = bench.keep(Server(bench))
    projects = [
        (f"project-{number:04}", f"rsync://upstream.example.org/module/{number:04}", bench.trees / f"{number:04}")
        for number in range(bench.number(1000))
    ]
    print(f"\n{len(projects)} projects were created in {server.create(projects):.2f} s.")
    return server, len(projects)


def w4(bench):
    """The list of all projects, in full and by ETag."""
    server, projects = with_projects(bench)
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
    measure.table(f"W4: GET {LIST} of {projects} projects, {CONNECTIONS} keep-alive connections, {SECONDS} s", head, lines)
    cores = os.cpu_count()
    print(f"The client shares the {cores} cores, so the rate holds its cost too; the server's CPU per request does not.")
    print(f"Peak memory of the server: {measure.memory_mib(server.pid, 'VmHWM'):.1f} MiB.", flush=True)


def w6(bench):
    """Starts with a thousand projects in the store."""
    server, projects = with_projects(bench)
    starts, idle, cpu = [], [], []
    for _ in range(bench.repeat):
        server.close()
        starts.append(server.start() * 1000)
        time.sleep(REST)
        idle.append(measure.memory_mib(server.pid, "VmRSS"))
        cpu.append(server.cpu()[0] * 1000)
    line = [(measure.median(starts), "ms"), (measure.median(idle), "MiB"), (measure.median(cpu), "ms")]
    head = ["start to the first 200 on /readyz", f"memory after {REST} s", "CPU until then"]
    measure.table(f"W6: start with {projects} projects in the store", head, [line])
