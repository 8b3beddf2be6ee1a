"""W7: from the end of a master's sync to the moment when three slaves have what is new, beside bare rsync.

Bare rsync is what a site without Heliostat does: three of them at once look at the whole tree, from a daemon with
TCP_NODELAY, with the options that slaves use. Counted on both sides is the CPU of those that pull, and of their children.
"""

import contextlib
import os
import subprocess
import time

import measure
import upstream
from bench import free_port, wait_for
from server import Server
from watch import Watch

SLAVES = ("one", "two", "three")
CHANGED = 10
SECRET = "a secret for measuring only"


def w7(bench):
    rows = []
    for files in (100, bench.number(100_000)):
        with contextlib.ExitStack() as stack:
            rows += Site(bench, stack, files).rows()
    head = ["files in the tree", "how", "all three current", "their CPU", "peak memory of a slave"]
    measure.table(f"**W7: {CHANGED} changed files to {len(SLAVES)} slaves, from the end of the master's sync**", head, rows)


class Site:
    """An upstream, a master and three slaves with one tree, and three copies for bare rsync."""

    def __init__(self, bench, stack, files):
        self.bench, self.files = bench, files
        self.trees, self.folder = bench.trees / str(files), bench.folder / str(files)
        self.folder.mkdir()
        self.round = 0
        upstream.grow(self.trees / "upstream", files)
        keep = lambda resource: stack.enter_context(contextlib.closing(resource))
        source = keep(upstream.Daemon(self.folder, self.trees / "upstream", "TCP_NODELAY"))
        self.bare = self.folder / "bare"
        self.bare.mkdir()
        master = f'Master(enrolment: "{SECRET}", rsyncd: Managed(listen: "127.0.0.1:{free_port()}"))'
        self.master = keep(Server(bench, f"master-{files}", master))
        self.master.create([("p", source.url("").rstrip("/"), self.trees / "master")])
        self.sync()
        self.mirror = keep(upstream.Daemon(self.bare, self.trees / "master", "TCP_NODELAY"))
        self.slaves = [keep(self.slave(name)) for name in SLAVES]
        self.all_current(600)
        self.pull_bare()

    def slave(self, name):
        role = (
            f'Slave(master: "http://127.0.0.1:{self.master.port}", name: "{name}", enrolment: "{SECRET}", '
            f'public_dir: "{self.trees}/slave-{name}")'
        )
        return Server(self.bench, f"{name}-{self.files}", role)

    def rows(self):
        by_change, bare = [], []
        for _ in range(self.bench.repeat):
            by_change.append(self.measured(lambda: self.all_current(600)))
            # The slaves have it already: bare rsync finds the same ten files in copies of its own.
            bare.append(self.pull_bare())
        memory = max(measure.memory_mib(slave.pid, "VmHWM") for slave in self.slaves)
        return [
            [f"{self.files:,}", "by change", *self.medians(by_change), (memory, "MiB")],
            [f"{self.files:,}", "bare rsync, whole tree", *self.medians(bare), None],
            [f"{self.files:,}", "bare ÷ by change", *self.ratios(bare, by_change), None],
        ]

    def medians(self, samples):
        return [(measure.median([sample[column] for sample in samples]), "s") for column in (0, 1)]

    def ratios(self, bare, by_change):
        return [(one[0] / max(other[0], 0.001), "×") for one, other in zip(self.medians(bare), self.medians(by_change))]

    def sync(self):
        watch = Watch(self.master, ["p"])
        with contextlib.closing(watch):
            self.master.request("POST", "/api/v1/projects/p/sync", {})
            return watch.all_ended(600)

    def measured(self, wait):
        """Changes ten files, lets the master sync, and gives the time and the CPU until all have it."""
        self.round += 1
        folders = sorted(path for path in (self.trees / "upstream").iterdir() if path.is_dir()) or [self.trees / "upstream"]
        for number in range(CHANGED):
            folder = folders[number * len(folders) // CHANGED]
            (folder / f"changed-{number}").write_text(f"in round {self.round}\n")
        before = self.cpu()
        ended = self.sync()
        wait()
        current = time.monotonic()
        # What has just ended is counted once its parent has seen it.
        time.sleep(0.2)
        return current - ended, self.cpu() - before

    def cpu(self):
        return sum(sum(slave.cpu()) for slave in self.slaves)

    def all_current(self, within):
        def current():
            nodes = self.master.request("GET", "/api/v1/nodes")["items"]
            held = [project for node in nodes for project in node["projects"]]
            return len(held) == len(SLAVES) and all(one["lag"] == 0 and one["generation"] for one in held)

        wait_for("the slaves", current, within)

    def pull_bare(self):
        """Three bare rsyncs at once; gives their time and their CPU."""
        started, used = time.monotonic(), 0.0
        pulls = [
            subprocess.Popen(
                ["rsync", "-aH", "--delete-delay", "--no-inc-recursive", "--safe-links", "--sockopts=TCP_NODELAY",
                 self.mirror.url(""), f"{self.trees}/bare-{name}/"],
            )
            for name in SLAVES
        ]
        for pull in pulls:
            _, status, usage = os.wait4(pull.pid, 0)
            pull.returncode = os.waitstatus_to_exitcode(status)
            used += usage.ru_utime + usage.ru_stime
        if any(pull.returncode for pull in pulls):
            raise RuntimeError(f"rsync failed: {[pull.returncode for pull in pulls]}")
        return time.monotonic() - started, used
