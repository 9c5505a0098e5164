# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that end: each in a process group of its own, with a deadline, no standard input, and a log."""

import os
import signal
import subprocess
import threading
import time

MERCY = 20  # seconds for a command that was interrupted
running = set()  # process groups that we started
lock = threading.Lock()
ended = False


def environment(extra=None):
    """Debian's own programs, whatever else PATH holds, and words in one language."""
    env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "CC", "CFLAGS")}
    env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env["LC_ALL"] = "C.UTF-8"
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env.update(extra or {})
    return env


def run(argv, log, deadline, env=None, cwd=None):
    """Runs argv with its output appended to the file log; returns its exit status, or 'killed after N s'."""
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(map(str, argv)) + "\n").encode())
        out.flush()
        with lock:
            if ended:
                raise InterruptedError("ended")
            child = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(env),
                cwd=cwd,
                start_new_session=True,
            )
            running.add(child.pid)
        try:
            return child.wait(deadline)
        except subprocess.TimeoutExpired:
            interrupt(child.pid)
            try:
                child.wait(MERCY)
            except subprocess.TimeoutExpired:
                pass
            return f"killed after {deadline} s"
        finally:
            # Also what a command has left behind, and all of it where we are interrupted ourselves.
            kill(child.pid)
            child.wait()
            with lock:
                running.discard(child.pid)


def kill(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def interrupt(pid):
    """pytest then shuts its containers down, which would outlive a SIGKILL of it."""
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        pass


def end_all():
    """Ends what runs in whatever thread, and lets nothing start any more."""
    global ended
    with lock:
        ended = True
        for group in running:
            interrupt(group)
    end = time.monotonic() + MERCY
    while running and time.monotonic() < end:
        time.sleep(0.1)
    with lock:
        for group in running:
            kill(group)


def tail(path, lines=None):
    """The last lines of a log, or all of it."""
    with open(path, "rb") as f:
        said = f.read().decode(errors="replace").splitlines()
    return "\n".join(said[-lines:] if lines else said)
