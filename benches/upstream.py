"""The upstream: trees of small files, and rsync's own daemon in two variants.

The daemons differ in one line, `socket options = TCP_NODELAY`. Without it, a client that has nothing to fetch waits
for Nagle's algorithm and delayed acknowledgements again and again, so the two are shown side by side.
"""

import os
import socket

from bench import Process, free_port, wait_for

FILES_PER_FOLDER = 100
# A fixed time in the past, so that all copies of a tree are the same.
MODIFIED = 1_700_000_000

DAEMONS = {"default": "", "TCP_NODELAY": "socket options = TCP_NODELAY\n"}


class Daemon(Process):
    """An rsync daemon that serves one tree as module `data`."""

    def __init__(self, folder, tree, variant):
        name = f"rsyncd-{variant}"
        config = folder / f"{name}.conf"
        config.write_text(
            f"use chroot = no\nread only = yes\n{DAEMONS[variant]}pid file = {folder / name}.pid\n"
            f"lock file = {folder / name}.lock\n[data]\npath = {tree}\n"
        )
        self.port = free_port()
        command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={self.port}"]
        log = folder / f"{name}.log"
        super().__init__([*command, f"--config={config}", f"--log-file={log}"], log)
        wait_for("the rsync daemon", self._listens)

    def _listens(self):
        self.check()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def url(self, path):
        return f"rsync://127.0.0.1:{self.port}/data/{path}"

    def close(self):
        self.end()


def daemons(bench, tree):
    """Both variants, by name, until the end of the workload."""
    return {variant: bench.keep(Daemon(bench.folder, tree, variant)) for variant in DAEMONS}


def grow(folder, files):
    """Makes `files` files of 16 to 256 bytes in folders of a hundred."""
    folder.mkdir(parents=True)
    inside = folder
    for number in range(files):
        if number % FILES_PER_FOLDER == 0 and files > 1:
            inside = folder / f"{number // FILES_PER_FOLDER:04}"
            inside.mkdir()
        path = os.path.join(inside, f"file-{number:06}")
        with open(path, "wb") as file:
            file.write(f"{number:016}".encode() * (1 + number % 16))
        os.utime(path, (MODIFIED, MODIFIED))
