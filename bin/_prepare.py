"""
What bin/highstate and bin/test need before they can work: a Salt, or a Python with the test tools.

Standard library only, and apt where pip itself is missing. Nothing is installed into the system's Python.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
#: The series of Salt that work beside the newest.
OLDER_SALTS = [3006, 3007]
OLDEST_SALT = OLDER_SALTS[0]
OLDEST_PYTHON = (3, 10)
# The version and the hashes of all that pip installs, written by bin/pin: an environment is made from some of these.
REQUIREMENTS = os.path.join(ROOT, "requirements")
BUILD = "build"
#: Seconds after which nobody has a reason any more to hold a lock: all tests together take less.
LOCK_DEADLINE = 3600
#: Seconds in which a program says which it is.
ASKED = 60
#: Seconds in which one that installs something has ended, also by a slow network.
INSTALLS = 1800
SALT = [BUILD, "salt"]
TESTS = ["tests"]
DOCS = ["docs"]
# Has no wheel, and Salt does without it unless a template reads a date in free text: it gets an empty one.
NEEDS_COMPILER, EMPTY = "timelib", "99"
# Where bin/highstate keeps the journal of a change that was killed, and the backups of all changes (hier(7)).
PLACE = "/var/lib/saltext-sshtrail"
# What the tests start for real. No recommended packages: they would bring a mail server along.
BROWSER = ["chromium"]
PROGRAMS = [
    "auditd",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "openssh-client",
    "openssh-server",
    "procps",
    "sudo",
    "util-linux",
    "zstd",
]
TEST_PACKAGES = [*PROGRAMS, *BROWSER]
WAY = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where Salt's own packages put it, and sudo's PATH may not look.
SALT_CALL = ["/opt/saltstack/salt/salt-call", "/usr/local/bin/salt-call"]


class Failed(Exception):
    """The preparation cannot go on; the message says why, in one line."""


def cache():
    """Return the directory that holds what was set up, so that nothing is installed twice."""
    if os.geteuid() == 0:
        # Not below HOME: sudo may keep the caller's, and root must not run what others can write.
        return "/var/cache/saltext-sshtrail"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "saltext-sshtrail")


def say(text):
    """Show progress at once, also through a pipe."""
    print(text, flush=True)


def salt_call():
    """Return the command line of a usable salt-call: the installed one, or one in a private environment."""
    found = [shutil.which("salt-call"), *SALT_CALL]
    for path in dict.fromkeys(p for p in found if p and os.access(p, os.X_OK) and trusted(p)):
        if salt_version(path) >= OLDEST_SALT:
            return path
    return os.path.join(environment("salt"), "bin", "salt-call")


def trusted(path):
    """
    Tell whether this user may run the program at ``path`` (str): root runs nothing that somebody else can change.

    That depends on the file itself, on what links lead to it, and on each directory above these.
    """
    if os.geteuid():
        return True
    ways = {os.path.abspath(path), os.path.realpath(path)}
    for way in list(ways):
        while (above := os.path.dirname(way)) != way:
            ways.add(above)
            way = above
    return all(map(roots, ways))


def roots(path):
    """Tell whether only root can change what is at ``path`` (str), a link itself aside."""
    found = os.stat(path)
    # In a directory such as /tmp others can put something, but not move what is root's.
    open_to_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    return found.st_uid == 0 and not open_to_others


def stay_at_home():
    """
    Have what root starts read nothing below the HOME of somebody else, which sudo may keep.

    Pythons look for modules there, which they all run, and pip for its configuration, which can name a file to write.
    """
    os.environ["PYTHONNOUSERSITE"] = "1"
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        place = os.environ.get(name, "")
        if not (os.path.isdir(place) and trusted(place)):
            os.environ.pop(name, None)
    os.environ.setdefault("HOME", pwd.getpwuid(0).pw_dir)


def compiled_once():
    """
    Have Pythons keep what they compile, also where the caller's variables forbid it.

    The tests start thousands of processes, and each would compile Salt's modules and this library anew.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def know_the_way():
    """Have programs, and this Python itself, be found where the caller has no PATH."""
    os.environ.setdefault("PATH", WAY)
    if not sys.executable:
        sys.executable = os.path.realpath("/proc/self/exe")


know_the_way()
if os.geteuid() == 0:
    stay_at_home()


def salt_version(path):
    """Return the major version (int) of the salt-call at ``path``; 0 when it does not work."""
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run([path, "--version"], stdout=subprocess.PIPE, check=False, cwd="/", timeout=ASKED, **quiet)
    except (subprocess.TimeoutExpired, OSError):
        return 0
    match = re.search(rb"(\d{4})\.", done.stdout)
    return int(match.group(1)) if match else 0


def environment(name, layers=(), base=SALT, python=sys.executable):
    """
    Return the path of a virtual environment, made when it is not there.

    name
        What it is for (str), the beginning of its name.
    layers
        What it holds beside Salt (list of str, names of files in requirements/).
    base
        Which Salt (list of str, likewise).
    python
        The Python that it is made with (str, path).

    The end of its name tells what it holds: where a version changes, a new one is made.
    """
    if sys.version_info < OLDEST_PYTHON:
        need, have = (".".join(map(str, version[:2])) for version in (OLDEST_PYTHON, sys.version_info))
        raise Failed(f"no Salt is installed, and a private one needs Python {need} or later; this is {have}")
    os.makedirs(cache(), mode=0o755, exist_ok=True)
    files = [requirements_file(layer) for layer in (*base, *layers)]
    wanted = "\n".join([version_of(python), python, *map(content, files)])
    path = os.path.join(cache(), f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}")
    with locked(path + ".lock"):
        if not os.path.exists(os.path.join(path, "complete")):
            install(path, files, python)
    return path


def requirements_file(layer):
    """Return the path (str) of the requirements that bin/pin writes for a layer (str)."""
    return os.path.join(REQUIREMENTS, f"{layer}.txt")


def content(path):
    """Return what is in a text file (str)."""
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def version_of(python):
    """Return the full version (str) of the Python at the path ``python`` (str); "" when it does not work."""
    if python == sys.executable:
        return sys.version
    try:
        done = subprocess.run(
            [python, "-c", "import sys, venv; print(sys.version, end='')"],
            **{"capture_output": True, "text": True, "check": False, "cwd": "/", "timeout": ASKED},
        )
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def other_python(names):
    """
    Return the path of the first Python among ``names`` (list of str, such as ``python3.10``) that works here.

    It is looked for on the PATH and among pyenv's and uv's, whose own directories no PATH names.
    """
    for name in names:
        for path in places(name):
            if trusted(path) and version_of(path):
                return path
    raise Failed("none of {} is installed, with its module venv".format(", ".join(names)))


def places(name):
    """Return where a program ``name`` (str) may be (list of str)."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR") or os.path.expanduser("~/.local/share/uv/python")
    below = [path for top in (f"{pyenv}/versions", uv) for path in sorted(glob.glob(f"{top}/*/bin/{name}"))]
    found = [shutil.which(name, path=directory) for directory in os.get_exec_path()]
    return [path for path in [*found, *below] if path]


@contextlib.contextmanager
def locked(path, seconds=LOCK_DEADLINE):
    """
    Hold the lock file at ``path``: two runs at once must not both build the same environment.

    seconds
        How long to wait for others (float); :class:`Failed` is raised then.
    """
    handle = opened(path)
    try:
        end = time.monotonic() + seconds
        while not taken(handle):
            if time.monotonic() > end:
                raise Failed(f"in vain waited {seconds} s for the lock {path}, which somebody else holds")
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def opened(path):
    """Open a lock file, which is this user's alone, whatever lies there; return its file descriptor (int)."""
    try:
        # Nothing is followed, emptied or waited for.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.close(handle)
            raise Failed(f"{path} cannot be the lock: it is no regular file of this user")
        os.fchmod(handle, 0o600)
    except OSError as exc:
        raise Failed(f"{path} cannot be the lock: {exc.strerror}") from exc
    return handle


def taken(handle):
    """Take the lock of a file descriptor (int) if nobody has it; return whether (bool)."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def private_directory(path):
    """Make a directory that nobody else may look into, if it is not there."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Failed(f"{path} is no directory of this user")
    os.chmod(path, 0o700)


def install(path, files, python):
    """
    Make a virtual environment at ``path`` and fill it; a mark is left only when that succeeded.

    files
        Which requirements (list of str, paths). pip takes nothing whose hash is not there. It knows no hashes for what
        builds a package from source, so that comes first, and the build sees nothing else.
    """
    say(f"Setting up {path} (once, one to three minutes) ...")
    shutil.rmtree(path, ignore_errors=True)
    run([python, "-m", "venv", "--without-pip", path])
    with tempfile.TemporaryDirectory() as wheels, pip(os.path.join(path, "bin", "python")) as command:
        empty_wheel(wheels, NEEDS_COMPILER)
        command = [*command, "install", "--quiet", "--no-warn-script-location", "--find-links", wheels]
        command += ["--require-hashes", "--no-build-isolation"]
        for part in ([name for name in files if name == requirements_file(BUILD)], files):
            if part:
                run([*command, *(word for name in part for word in ("--requirement", name))])
    with open(os.path.join(path, "complete"), "w", encoding="ascii"):
        pass


def empty_wheel(directory, name):
    """
    Write a wheel of the distribution ``name`` without any module to ``directory``: pip then looks no further.

    Its bytes are always the same, so that it has a hash as all others have.
    """
    info = f"{name}-{EMPTY}.dist-info"
    members = {
        info + "/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {EMPTY}\n",
        info + "/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[info + "/RECORD"] = "".join(f"{path},,\n" for path in [*members, info + "/RECORD"])
    with zipfile.ZipFile(os.path.join(directory, f"{name}-{EMPTY}-py3-none-any.whl"), "w") as wheel:
        for path, text in members.items():
            wheel.writestr(zipfile.ZipInfo(path), text)


@contextlib.contextmanager
def pip(python):
    """Give the command line of a pip for ``python``: its own, or else that of Debian's package, unpacked."""
    ensured = subprocess.run([python, "-m", "ensurepip", "--default-pip"], capture_output=True, check=False, cwd="/")
    if ensured.returncode == 0:
        yield [python, "-m", "pip"]
        return
    with tempfile.TemporaryDirectory() as directory:
        wheel = debian_pip(directory)
        yield [python, os.path.join(wheel, "pip")]


def debian_pip(directory):
    """Unpack pip's wheel from its Debian package into ``directory``; return its path."""
    if not shutil.which("apt-get"):
        raise Failed("python3 has neither pip nor ensurepip, and there is no apt-get: install python3-venv")
    wheels = os.path.join(debian_unpacked(directory, ["python3-pip-whl"]), "usr", "share", "python-wheels")
    return os.path.join(wheels, next(name for name in os.listdir(wheels) if name.startswith("pip-")))


def debian_unpacked(directory, names, source=""):
    """
    Unpack Debian packages (list of str) below ``directory`` (str), with apt lists of our own; return where (str).

    source
        From where they come, as sources.list(5) has it (str); "" for the host's own sources.
    """
    own = ["-q", "-o", f"Dir::State::Lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache"]
    own += ["-o", "APT::Sandbox::User=root"]
    if source:
        path = os.path.join(directory, "own.list")
        own += ["-o", f"Dir::Etc::SourceList={path}", "-o", "Dir::Etc::SourceParts=-"]
        with open(path, "w", encoding="ascii") as file:
            file.write(source + "\n")
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(directory, name))
    run(["apt-get", *own, "update"])
    run(["apt-get", *own, "download", *names], cwd=directory)
    unpacked = os.path.join(directory, "unpacked")
    for package in glob.glob(os.path.join(directory, "*.deb")):
        run(["dpkg-deb", "-x", package, unpacked])
    return unpacked


def debian_packages(names):
    """Install the system packages (list of str) that are not there yet."""
    os.makedirs(cache(), mode=0o755, exist_ok=True)
    with locked(os.path.join(cache(), "packages.lock")):
        missing = [name for name in names if not installed(name)]
        if not missing:
            return
        say("Installing " + " ".join(missing) + " ...")
        environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        run(["apt-get", "-q", "update"], env=environ)
        run(["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing], env=environ)


def installed(package):
    """Tell whether the Debian package is installed."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return done.stdout == "installed"


def run(command, **options):
    """Run a command; when it fails or does not end, raise :class:`Failed` with the last lines of what it said."""
    # A Python that is given a module or a line to run looks in the current directory first, which can be anybody's.
    options = {"cwd": "/", "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": INSTALLS, **options}
    try:
        done = subprocess.run(command, check=False, **options)
    except subprocess.TimeoutExpired as exc:
        # What it has started goes on: half of an installation of packages is worse than a slow one.
        raise Failed(f"{' '.join(command[:4])} did not end within {options['timeout']} seconds; it was killed") from exc
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()[-15:]
        raise Failed("{} failed (exit status {}):\n{}".format(" ".join(command[:4]), done.returncode, "\n".join(said)))
