"""The floor: bare rsync, started by `xargs -P 8`, which is as little supervision as there can be."""

import contextlib
import os
import resource
import signal
import subprocess
import time

from bench import Failed

AT_ONCE = 8
PATIENCE = 600
# What a project asks for; Heliostat adds its own options to these.
DEFAULT_OPTIONS = ["-avH", "--delete"]


def run(options, pairs):
    """One rsync for each pair of source and destination; gives wall time and CPU seconds of all of them."""
    words = b"".join(f"{word}\0".encode() for pair in pairs for word in pair)
    command = ["xargs", "-0", "-P", str(AT_ONCE), "-n", "2", "rsync", *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        errors = child.communicate(words, PATIENCE)[1]
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode != 0:
        raise Failed(f"bare rsync ended with {child.returncode}: {errors.decode(errors='replace')[:1000]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
