"""What every workload works with: its folders, the binary, how often to repeat, and an end for all that it starts."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """Something did not do what a measurement needs; the text says what."""


class Bench:
    """The circumstances of all workloads, and the open resources of the present one."""

    def __init__(self, folder, trees, binary, repeat, scale):
        # The server's own files, and the trees that are mirrored; a workload has a folder in each.
        self.roots = folder, trees
        self.folder, self.trees = folder, trees
        self.binary = binary
        self.repeat = repeat
        self.scale = scale
        self.resources = None

    @contextlib.contextmanager
    def workload(self, name):
        """Gives the workload folders of its own, and ends what it started, whatever happens."""
        self.folder, self.trees = (root / name for root in self.roots)
        self.folder.mkdir()
        self.trees.mkdir()
        try:
            with contextlib.ExitStack() as self.resources:
                yield
        finally:
            for path in (self.folder, self.trees):
                shutil.rmtree(path, ignore_errors=True)

    def number(self, full):
        """A number of projects or files at the scale that was asked for."""
        return max(1, round(full * self.scale))

    def keep(self, resource):
        """Closes `resource` at the end of the workload."""
        return self.resources.enter_context(contextlib.closing(resource))


class Process:
    """A process in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""

    def __init__(self, command, log, env=None):
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,
            )
        self.log = log

    @property
    def pid(self):
        return self.child.pid

    def check(self):
        """Fails when the process has ended by itself."""
        if self.child.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise Failed(f"{self.child.args[0]} ended with {self.child.returncode}:\n{tail}")

    def end(self, patience=25):
        """Asks it to end, and kills its whole session when it does not in time."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.child.wait()


def free_port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(what, condition, within=30.0, pause=0.005):
    """Asks until the condition holds, and gives its value."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {within:.0f} s in vain for {what}")
        time.sleep(pause)
