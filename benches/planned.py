"""W10: what the guard's plan adds to a sync of many files of which a few have changed.

Each way is a destination of its own, synced once after each change upstream. The ways take turns. The same options, bare
and by a project whose guard is off, are what the plan is compared with: guard and two stages are measured with it.
"""

import datetime
import os
import shlex
import time

import floor
import measure
import upstream
from bench import Failed, wait_for
from server import Server
from workloads import Sample

PATIENCE = 600
# Files that change, and as many that come and go, before each turn.
CHANGED = 100

OFF = {"max_delete_percent": 100, "max_delete": 2**31 - 1}
BARE = "bare rsync, same options as ours"
WAYS = {
    "guard off": {"guard": OFF},
    "guard on": {},
    "two stages, guard off": {"guard": OFF, "stages": "debian"},
    "two stages, guard on": {"stages": "debian"},
}


def w10(bench):
    files = bench.number(100_000)
    tree = bench.trees / "upstream"
    upstream.grow(tree / "data", files)
    daemon = upstream.daemons(bench, tree)["TCP_NODELAY"]
    server = bench.keep(Server(bench))
    mirrors = bench.trees / "mirrors"
    (mirrors / "bare").mkdir(parents=True)
    names = {way: f"p{number}" for number, way in enumerate(WAYS)}
    for way, name in names.items():
        server.request("POST", "/api/v1/projects", {
            "id": name, "source": daemon.url("data") + "/", "dest": str(mirrors / name),
            "schedule": {"manual": True}, "freshness": {"marker": "none"}, **WAYS[way],
        })
        ended(server, name)
    shown = server.request("GET", f"/api/v1/projects/{names['guard off']}")["command"]
    # The last two words of the command are source and destination.
    options, pairs = shlex.split(shown)[1:-2], [(daemon.url("data") + "/", f"{mirrors / 'bare'}/")]
    floor.run(options, pairs)
    samples = {way: [] for way in [BARE, *WAYS]}
    for turn in range(bench.repeat):
        change(tree / "data", turn)
        samples[BARE].append(Sample(*floor.run(options, pairs)))
        for way, name in names.items():
            before = sum(server.cpu())
            wall = ended(server, name)
            time.sleep(0.1)
            samples[way].append(Sample(wall, sum(server.cpu()) - before))
    walls = {way: measure.median([sample.wall for sample in samples[way]]) for way in samples}
    lines = []
    for way in samples:
        against = {"guard on": "guard off", "two stages, guard on": "two stages, guard off"}.get(way)
        lines.append([
            way, (walls[way], "s"), (walls[way] / walls[BARE], "×"),
            None if against is None else (walls[way] / walls[against], "×"),
            (measure.median([sample.below for sample in samples[way]]), "s"),
        ])
    head = ["", "wall", "ratio to the first row", "to the same without a guard", "CPU here"]
    measure.table(f"W10: {CHANGED} of {files} files changed, as many new, as many gone", head, lines)


def change(tree, turn):
    """Changes some files, adds some, and removes those that were added before."""
    folders = sorted(path for path in tree.iterdir() if path.is_dir())
    for number in range(CHANGED):
        folder = folders[number * len(folders) // CHANGED]
        old = sorted(folder.glob("file-*"))[turn % 10]
        old.write_bytes(os.urandom(100 + turn))
        (folder / f"new-{turn}").write_bytes(os.urandom(200))
        gone = folder / f"new-{turn - 1}"
        (gone if turn else sorted(folder.glob("file-*"))[-1]).unlink()


def ended(server, name):
    """Syncs a project once; gives the seconds from the wish to the end."""
    run = server.request("POST", f"/api/v1/projects/{name}/sync")["id"]
    found = wait_for(
        "the sync", lambda: (found := server.request("GET", f"/api/v1/runs/{run}"))["ended"] and found, PATIENCE, 0.05
    )
    if found["state"] != "succeeded":
        raise Failed(f"{name} ended as {found['state']}: {found['reason']}")
    queued, end = (datetime.datetime.fromisoformat(found[key][:26].rstrip("Z") + "+00:00") for key in ("queued", "ended"))
    return (end - queued).total_seconds()
