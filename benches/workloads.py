"""W1, W2, W3 and W5: how long many rsyncs take, supervised and bare.

Each is measured in the same rows: bare rsync with a project's own options only, bare rsync with the command line that
Heliostat runs, and Heliostat; each against a daemon as it is by default and against one with TCP_NODELAY. The rows
take turns within one repetition, so that a busy moment of the machine does not fall on one of them alone.
"""

import contextlib
import datetime
import os
import shlex
import shutil
import time
from dataclasses import dataclass, field

import floor
import measure
import upstream
from bench import Failed, wait_for
from server import Server
from watch import Watch

# No measurement takes longer.
PATIENCE = 600
# How far ahead W5 sets the projects' schedule.
AHEAD = 20

BARE, SAME, OURS = "bare rsync, project's options", "bare rsync, same options as ours", "heliostat"


@dataclass
class Sample:
    """One measurement. `own` is the supervisor's CPU without its children, `below` that of what it started."""

    wall: float
    below: float
    own: float | None = None


@dataclass
class Row:
    """One way to run a set of projects against one daemon."""

    kind: str
    daemon: str
    # (id, source, destination) of each project.
    projects: list
    options: list = field(default_factory=list)
    samples: list = field(default_factory=list)

    @property
    def pairs(self):
        return [(source, f"{dest}/") for _, source, dest in self.projects]


class Site:
    """An upstream of several trees, a server, and every way to mirror the one from the other."""

    def __init__(self, bench, trees, files):
        self.bench = bench
        tree = bench.trees / "upstream"
        tree.mkdir()
        paths = [f"p{number:04}" for number in range(trees)]
        for path in paths:
            upstream.grow(tree / path, files)
        daemons = upstream.daemons(bench, tree)
        self.server = bench.keep(Server(bench))
        self.rows = [
            Row(kind, name, self._projects(f"ours-{name}".lower() if kind == OURS else "bare", daemon, paths))
            for kind in (BARE, SAME, OURS)
            for name, daemon in daemons.items()
        ]
        for row in self.rows:
            if row.kind == OURS:
                self.create_time = self.server.create(row.projects)
        shown = self.server.request("GET", f"/api/v1/projects/{self.rows[-1].projects[0][0]}")["command"]
        for row in self.rows:
            # The last two words of the command are source and destination.
            row.options = [*floor.DEFAULT_OPTIONS, "--"] if row.kind == BARE else shlex.split(shown)[1:-2]
        self.command = " ".join(shlex.split(shown)[:-2])

    def _projects(self, group, daemon, paths):
        """All bare rows share their destinations; Heliostat wants one for each project."""
        mirrors = self.bench.trees / "mirrors" / group
        mirrors.mkdir(parents=True, exist_ok=True)
        return [(f"{group}-{path}", daemon.url(path) + "/", mirrors / path) for path in paths]

    def clear(self, row):
        """Removes what a row has fetched; what the disk still has to write is not to fall on the next measurement."""
        for _, _, dest in row.projects:
            shutil.rmtree(dest, ignore_errors=True)
        os.sync()

    def run(self, row):
        """Syncs all projects of a row once."""
        if row.kind != OURS:
            for _, _, dest in row.projects:
                dest.mkdir(exist_ok=True)
            return Sample(*floor.run(row.options, row.pairs))
        names = [name for name, _, _ in row.projects]

        def burst():
            started = time.monotonic()
            self.server.many(("POST", f"/api/v1/projects/{name}/sync") for name in names)
            return started

        return self.watched(names, burst)

    def watched(self, names, begin):
        """Has `begin` start the projects, and waits until all have ended; wall time counts from the moment it gives."""
        with contextlib.closing(Watch(self.server, names)) as watch:
            own, below = self.server.cpu()
            started = begin()
            wall = watch.all_ended(PATIENCE) - started
        # The last guardian is waited for a moment after its run has ended.
        time.sleep(0.1)
        own_after, below_after = self.server.cpu()
        return Sample(wall, below_after - below, own_after - own)

    def show(self, title, note=""):
        """Prints the medians of all rows, and starts afresh."""
        walls = {(row.kind, row.daemon): measure.median([sample.wall for sample in row.samples]) for row in self.rows}
        lines = []
        for row in self.rows:
            wall = walls[row.kind, row.daemon]
            own = measure.median([sample.own for sample in row.samples if sample.own is not None])
            lines.append([
                row.kind, row.daemon, (wall, "s"),
                (wall / walls[BARE, "default"], "×"),
                None if row.kind == BARE else (wall / walls[SAME, row.daemon], "×"),
                None if own is None else (own, "s"),
                (measure.median([sample.below for sample in row.samples]), "s"),
            ])
        head = ["", "daemon", "wall", "ratio to the first row", "to the same options and daemon",
                "CPU of the server itself", "CPU of all it starts"]
        measure.table(title, head, lines)
        print(f"Peak memory of the server: {measure.memory_mib(self.server.pid, 'VmHWM'):.1f} MiB.{note}", flush=True)
        for row in self.rows:
            row.samples.clear()


def w1(bench):
    first_and_unchanged(bench, show=("W1",))


def w2(bench):
    first_and_unchanged(bench, show=("W2",))


def w1_and_w2(bench):
    first_and_unchanged(bench, show=("W1", "W2"))


def first_and_unchanged(bench, show):
    """W1: a first sync of every project into nothing; W2: the same again, with nothing to do."""
    projects, files = bench.number(50), bench.number(1000)
    site = Site(bench, projects, files)
    firsts = [[] for _ in site.rows]
    again = [[] for _ in site.rows]
    for _ in range(bench.repeat):
        for index, row in enumerate(site.rows):
            site.clear(row)
            firsts[index].append(site.run(row))
            again[index].append(site.run(row))
            site.clear(row)
    what = f"{projects} projects x {files} small files, 8 at once"
    for name, text, samples in (("W1", "first sync", firsts), ("W2", "nothing changed", again)):
        if name in show:
            for row, taken in zip(site.rows, samples):
                row.samples.extend(taken)
            site.show(f"{name}: {what}, {text}", f" Same options: `{site.command}`" if name == show[0] else "")


def w3(bench):
    """One project of many files, nothing changed."""
    files = bench.number(100_000)
    site = Site(bench, 1, files)
    for row in site.rows:
        site.run(row)
    for _ in range(bench.repeat):
        for row in site.rows:
            row.samples.append(site.run(row))
    site.show(f"W3: 1 project x {files} files, nothing changed")


def w5(bench):
    """A thousand trivial projects at once: by a burst of requests, and by their schedules, due in one second."""
    projects = bench.number(1000)
    site = Site(bench, projects, 1)
    for _ in range(bench.repeat):
        for row in site.rows:
            site.clear(row)
            row.samples.append(site.run(row))
    note = f" {projects} projects were created in {site.create_time:.2f} s."
    site.show(f"W5: {projects} trivial projects, 8 at once; heliostat's by a burst of requests", note)
    for _ in range(bench.repeat):
        for row in site.rows:
            site.clear(row)
            row.samples.append(site.run(row) if row.kind != OURS else scheduled(site, row))
    site.show("W5: the same; heliostat's by their schedules, all due in one second")


def scheduled(site, row):
    """Sets the schedules of a row's projects to one second a little ahead, and measures from that second on."""
    due = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=AHEAD)
    cron = f"{due.second} {due.minute} {due.hour} * * *"
    names = [name for name, _, _ in row.projects]
    site.server.many(("PATCH", f"/api/v1/projects/{name}", {"schedule": {"cron": cron}}) for name in names)

    def until_due():
        return (due - datetime.datetime.now(datetime.UTC)).total_seconds()

    # Whatever the changes of the schedules cost is over before the measurement begins.
    wait_for("the schedules to be due", lambda: until_due() < 0.05, AHEAD + 5)
    if until_due() < -0.5:
        raise Failed("the schedules were set too late: raise AHEAD")

    def begin():
        time.sleep(max(0, until_due()))
        return time.monotonic()

    return site.watched(names, begin)
