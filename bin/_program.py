"""
How each program of this directory is run: its help, quietly, with JSON for another program, and what its status says.

Standard library only.
"""

import contextlib
import json
import os
import sys
import tempfile
import time

from _prepare import Failed

#: The status after Ctrl-C, as shells have it: 128 + SIGINT.
INTERRUPTED = 130
#: The status where nobody reads what is written any more: 128 + SIGPIPE.
BROKEN = 141
HELP, QUIET, JSON = ("--help", "-h"), ("--quiet",), ("--json",)
OPTIONS = """
options of every program here:
  -h, --help    show this, and do nothing
  --quiet       print nothing, unless it fails
  --json        print one JSON object and nothing else: program, status, seconds, and what there is to tell

The exit status is 0 when all went well, 130 after Ctrl-C, and another one otherwise."""


def run(main, document, passes_on=False):
    """
    Run a program and return its exit status (int).

    main
        Called without arguments; returns the status (int), or the status and what is to be told as JSON (dict).
    document
        What the program is for and how it is called (str): its help.
    passes_on
        Whether its arguments are another program's (bool): then the options of all programs come before these.
    """
    stand_in()
    try:
        status = ran(main, document, passes_on)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who read has gone, as `| head` does.
        return unheard(BROKEN)
    except OSError as exc:
        # A full disk, no file that could be opened: of the machine, not of the program.
        where = f" ({exc.filename})" if exc.filename else ""
        return unheard(1, f"{name()}: this machine does not let it go on: {exc.strerror or exc}{where}")


def stand_in():
    """Have nothing take the place of the standard files that are closed: what is opened next would be written to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one.
            os.open(os.devnull, os.O_RDWR)
    for stream, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, stream) is None:
            setattr(sys, stream, os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False))


def unheard(status, said=""):
    """Return a status (int) after a word on stderr (str), and have nobody try to write what could not be written."""
    with contextlib.suppress(OSError):
        print(said, end="\n" if said else "", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    return status


def ran(main, document, passes_on):
    """Run a program as :func:`run` does, and return its status (int)."""
    asked, sys.argv[1:] = taken(sys.argv[1:], passes_on)
    if asked & {*HELP}:
        print(document.strip() + "\n" + OPTIONS)
        return 0
    if not asked:
        return outcome(main)[0]
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        with instead_of_stdout(said):
            status, told = outcome(main)
        said.seek(0)
        output = said.read().decode(errors="replace")
    if asked & {*JSON}:
        told = {"output": output.splitlines()} if told is None else told
        seconds = round(time.monotonic() - started, 3)
        print(json.dumps({"program": name(), "status": status, "seconds": seconds, **told}))
    elif status:
        print(output, end="", file=sys.stderr)
    return status


def name():
    """Return what the program is called (str)."""
    return os.path.basename(sys.argv[0])


def taken(arguments, leading):
    """Return the options of all programs (set of str) among arguments (list of str), and the rest (list of str)."""
    known = {*HELP, *QUIET, *JSON}
    count = next((at for at, one in enumerate(arguments) if leading and one not in known), len(arguments))
    first = arguments[:count]
    return {one for one in first if one in known}, [one for one in first if one not in known] + arguments[count:]


def outcome(main):
    """Return the status of a program (int) and what it has to tell as JSON (dict or None)."""
    try:
        found = main()
    except Failed as exc:
        print(f"{name()}: {exc}", file=sys.stderr)
        return 1, {"errors": [str(exc)]}
    except KeyboardInterrupt:
        print(f"{name()}: interrupted; run it again to finish", file=sys.stderr)
        return INTERRUPTED, None
    except SystemExit as exc:
        # argparse has said on stderr what it cannot take.
        status = exc.code if isinstance(exc.code, int) else int(bool(exc.code))
        return status, {"errors": ["the arguments are wrong: --help tells them"]} if status else None
    return found if isinstance(found, tuple) else (found or 0, None)


@contextlib.contextmanager
def instead_of_stdout(file):
    """Have everything that goes to stdout, also from programs that are started, go to a ``file`` (an open one)."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
