"""W9: what it costs to find that an upstream of many files has not moved: by its marker, by its list, by an rsync.

Each way is a project of its own on one server, checked by its schedule every second, since what people start by hand is
always a whole run. The ways take turns. Counted are both sides: the server with all that it starts, or the bare rsync; and
the daemon's processes.
"""

import datetime
import time

import floor
import measure
import upstream
from bench import Failed, wait_for
from server import Server
from workloads import Sample

PATIENCE = 300
# How many checks are measured in one turn: of a way that costs next to nothing, one alone shows no CPU at all.
CHECKS = 5

BARE = "bare rsync, project's options"
WAYS = {
    "heliostat, by rsync": {"marker": "none"},
    "heliostat, by list": {"marker": "none", "compare": "list"},
    "heliostat, by marker": {"marker": "lastupdate"},
}


def w9(bench):
    files = bench.number(100_000)
    tree = bench.trees / "upstream"
    upstream.grow(tree / "data", files)
    (tree / "data" / "lastupdate").write_text("1\n")
    for variant, daemon in upstream.daemons(bench, tree).items():
        measured(bench, files, variant, daemon)


def measured(bench, files, variant, daemon):
    """All ways against one daemon."""
    server = bench.keep(Server(bench, f"heliostat-{variant}"))
    mirrors = bench.trees / f"mirrors-{variant}"
    bare = mirrors / "bare"
    bare.mkdir(parents=True)
    names = {way: f"p{number}" for number, way in enumerate(WAYS)}
    for way, name in names.items():
        server.request("POST", "/api/v1/projects", {
            "id": name, "source": daemon.url("data") + "/", "dest": str(mirrors / name),
            "schedule": {"manual": True}, "freshness": {**WAYS[way], "verify_every": "1d"},
        })
        server.request("POST", f"/api/v1/projects/{name}/sync")
    pairs = [(daemon.url("data") + "/", f"{bare}/")]
    options = [*floor.DEFAULT_OPTIONS, "--"]
    floor.run(options, pairs)
    for name in names.values():
        # A new schedule is a new version of the project, after which one whole run follows.
        wait_for("the first sync", lambda: server.request("GET", f"/api/v1/projects/{name}")["last_run"], PATIENCE)
    samples = {way: [] for way in [BARE, *WAYS]}
    for _ in range(bench.repeat):
        before = below(daemon)
        sample = Sample(*floor.run(options, pairs))
        samples[BARE].append((sample, below(daemon) - before))
        for way, name in names.items():
            samples[way].append(checks(server, daemon, name))
    show(f"W9: is there anything new in {files} files? ({variant} daemon)", samples)


def below(daemon):
    """CPU seconds of the daemon's processes that have ended."""
    # It waits for its children a moment after they have ended.
    time.sleep(0.2)
    return sum(measure.cpu_seconds(daemon.pid))


def checks(server, daemon, name):
    """Some checks by the schedule; the wall time is the median of them, the CPU of both sides their mean."""
    def runs():
        # Newest first. One that its project's change has made whole is passed over: only what follows it is measured.
        items = server.request("GET", f"/api/v1/projects/{name}/runs?limit={3 * CHECKS}")["items"]
        return [run for run in items if run["trigger"] == "schedule" and run["ended"]]

    server.request("PATCH", f"/api/v1/projects/{name}", {"schedule": {"every": "1s"}})
    known = {run["id"] for run in runs()}
    wait_for("the whole run after the change", lambda: [run for run in runs() if run["id"] not in known], PATIENCE, 0.02)
    known |= {run["id"] for run in runs()}
    above, under = sum(server.cpu()), below(daemon)
    # To ask costs the server something as well, so it is asked seldom.
    ended = wait_for(
        "the checks", lambda: (found := [run for run in runs() if run["id"] not in known])[CHECKS - 1:] and found,
        PATIENCE, CHECKS / 2,
    )
    above, under = sum(server.cpu()) - above, below(daemon) - under
    server.request("PATCH", f"/api/v1/projects/{name}", {"schedule": {"manual": True}})
    if not all(run["state"] == "unchanged" for run in ended):
        raise Failed(f"not every check found nothing: {[run['state'] for run in ended]}")
    wall = measure.median([seconds(run) for run in ended])
    return Sample(wall, above / len(ended)), under / len(ended)


def seconds(run):
    queued, ended = (datetime.datetime.fromisoformat(run[key][:26].rstrip("Z") + "+00:00") for key in ("queued", "ended"))
    return (ended - queued).total_seconds()


def show(title, samples):
    def median(way, of):
        return measure.median([of(sample, under) for sample, under in samples[way]])

    floor_wall = median(BARE, lambda sample, _: sample.wall)
    lines = []
    for way in samples:
        wall = median(way, lambda sample, _: sample.wall)
        lines.append([
            way, (wall * 1000, "ms"), (floor_wall / wall, "× as fast"),
            (median(way, lambda sample, _: sample.below) * 1000, "ms"),
            (median(way, lambda _, under: under) * 1000, "ms"),
        ])
    measure.table(title, ["", "wall", "of bare rsync", "CPU here", "CPU of the upstream"], lines)
