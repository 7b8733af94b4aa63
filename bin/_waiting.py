"""
Waiting, always with a deadline that is generous to a slow and busy machine, and that fails loudly.

Standard library only. Nothing may depend on how long something takes: who waits for it says what it is.
"""

import contextlib
import os
import select
import signal
import time

from _prepare import Failed

#: Seconds after which nothing comes any more, however much else the machine does.
DEADLINE = 300
PAUSE = 0.05
#: Before a command line: whoever kills this process kills what it has started.
ENDS_WITH_THIS = ["setpriv", "--pdeathsig", "KILL"]


def wait_for(condition, what, seconds=DEADLINE, pause=PAUSE):
    """
    Wait until ``condition()`` is true and return its value; raise :class:`_prepare.Failed` after the deadline.

    what
        What is waited for (str), for the one who reads that it did not come.
    seconds, pause
        How long, and how long between two looks (float).
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"in vain waited {seconds} s for {what}; the last answer was {value!r}")
        time.sleep(pause)
    return value


def wait_until_gone(pid, what, seconds=DEADLINE):
    """Wait until the process ``pid`` (int) has ended, whose child ever it is; raise after the deadline."""
    with contextlib.suppress(ProcessLookupError), watched(pid) as process:
        if not select.select([process], [], [], seconds)[0]:
            raise Failed(f"in vain waited {seconds} s for the end of {what} (pid {pid})")


@contextlib.contextmanager
def watched(pid):
    """Give a file descriptor (int) for the process ``pid`` that is readable when it has ended."""
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)


def stop(pid, name, seconds=DEADLINE):
    """
    End the process ``pid`` (int, or None) if it is still the program ``name`` (str), and wait until it is gone.

    One that does not end when it is asked to is killed, and that is a failure: somebody waits for what it still does.
    """
    with contextlib.suppress(OSError):
        if not pid or _program(pid) != name:
            return
        os.kill(pid, signal.SIGTERM)
    try:
        wait_until_gone(pid, name, seconds)
    except Failed:
        os.kill(pid, signal.SIGKILL)
        raise


def _program(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def ended(*processes):
    """End processes (:class:`subprocess.Popen`) that this one has started, all at once, and wait for their end."""
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(Exception):
            process.wait(30)
        process.kill()
        process.wait()
