"""
End a call at any of its steps, as a kill -9 or a power cut would; make several at the same moment.
"""

import os
import signal
import sys
import tempfile

# What changes or asks something outside of the process.
STEPS = ("open", "os.", "subprocess.", "socket.connect", "shutil.", "tempfile.", "fcntl.")


def killed_at(step, call, scratch, steps=STEPS):
    """
    Run ``call()`` in a child that kills itself at its step number ``step`` (int), its temporary files in ``scratch``.

    Its steps are Python's audit events whose names begin with one of ``steps`` (tuple of str).

    Returns whether it came that far (bool); otherwise the call has ended by itself.
    """
    child = os.fork()
    if child == 0:
        _devnull()
        tempfile.tempdir = str(scratch)
        left = [step]

        def hook(event, _arguments):
            if event.startswith(steps):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            call()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _devnull():
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def at_once(*calls):
    """Run each call in a process of its own, all at the same moment; return their exit statuses (list of int)."""
    go, begin = os.pipe()
    children = [_waiting(go, begin, call) for call in calls]
    os.close(go)
    os.close(begin)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _waiting(go, begin, call):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(begin)
            # Ends when nobody can write to it any more.
            os.read(go, 1)
            call()
            status = 0
        finally:
            os._exit(status)
    return child
