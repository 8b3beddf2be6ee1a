"""Readings of a process, medians, and the tables that are printed."""

import datetime
import os
import platform
import statistics
import subprocess
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """What the process itself has used, and what its ended children have used, in CPU seconds (proc_pid_stat(5))."""
    # The name in parentheses may hold spaces; field 3 is the first behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) / TICK for field in fields[11:15])
    return user + system, children_user + children_system


def children(pid):
    """The processes that it has started and not reaped, by any of its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def memory_mib(pid, key):
    """`VmHWM`, the peak, or `VmRSS`, the present, of a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status has no {key}")


def median(samples):
    """The median, of what was measured at all."""
    return statistics.median(samples) if samples else None


def machine(binary):
    """One paragraph about where and when this is measured."""
    rsync = subprocess.run(["rsync", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    made = datetime.datetime.fromtimestamp(binary.stat().st_mtime, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{now}; {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"{' '.join(rsync.split())}; {binary} of {made}; {load()}"
    )


def load():
    """How busy the machine has been in the last minutes: figures of a busy one say little."""
    return "load average " + " ".join(f"{part:.2f}" for part in os.getloadavg())


def table(title, head, rows):
    """Prints a table in Markdown, aligned for the eye as well."""
    rows = [[cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row):
        padded = [text.ljust(width) if column == 0 else text.rjust(width)
                  for column, (text, width) in enumerate(zip(row, widths))]
        return f"| {' | '.join(padded)} |"

    print(f"\n{title}\n")
    print(line(head))
    print("|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"
                         for column, width in enumerate(widths)) + "|")
    for row in rows:
        print(line(row))
    print(flush=True)


def cell(value):
    """A value as a table shows it: `None` is nothing, a pair is a number with its unit."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    number, unit = value
    digits = 0 if abs(number) >= 1000 else 1 if abs(number) >= 100 else 2 if abs(number) >= 0.1 else 3
    return f"{number:,.{digits}f} {unit}".strip()
