"""
The files of a PAM service as Linux-PAM reads them, to the last case: into handlers, one list for each type.

The versions differ in how lines are put together and in what they count; a :class:`Library` says what the installed
one does. Source: ``pam_handlers.c`` and ``pam_misc.c`` of Linux-PAM 1.5.2 and 1.7.0 with Debian's patches.
"""

from __future__ import annotations

import typing
from collections.abc import Callable

from sshtrail_lib.pam import lines as pam_lines
from sshtrail_lib.pam.keywords import (
    ACTIONS,
    ANYTHING,
    BAD,
    CONTROLS,
    IGNORED,
    LOGINUID,
    NEW_AUTHTOK,
    RETURNS,
    SUCCESS,
    UNDEFINED,
)
from sshtrail_lib.pam.lines import Broken, Line, Refused, Tokens

TYPES = (b"auth", b"session", b"account", b"password")

#: Levels at which reading stops.
DEEPEST = 16
# Before 1.6 only substacks are counted, and an endless include ends with the last file descriptor.
ENDLESS = 64
# More handlers come of files that include themselves twice only: Linux-PAM reads them for hours.
MOST = 20_000

MODULE, MUST_FAIL, SUBSTACK, UNCERTAIN = "module", "must fail", "substack", "uncertain"
#: What stands for the module where a line names none.
UNKNOWN = "<*unknown module*>"


class Library(typing.NamedTuple):
    """
    What the installed Linux-PAM does.

    directories
        Where the files of services are (tuple of str), the administrator's first.
    modules
        What is put before a module's name that begins with no slash (tuple of str), in this order.
    isa
        What ``$ISA`` stands for (str).
    debian
        Whether it has Debian's ``@include``, which is looked for in the first directory alone (bool).
    modern
        Whether it is 1.6.0 or later (bool): lines may be of any length, a comment ends a continued one, and the levels
        of ``include`` are counted.
    """

    directories: tuple[str, ...] = ("/etc/pam.d", "/usr/lib/pam.d")
    modules: tuple[str, ...] = ("/usr/lib64/security/",)
    isa: str = "../../lib64/security"
    debian: bool = False
    modern: bool = True


class Disk(typing.NamedTuple):
    """
    What reading needs of the host.

    read
        Called with a path (str) for the file's bytes; None when it cannot be opened. A directory reads as empty.
    directory
        Called with a path (str): whether a directory is there (bool).
    module
        Called with a path (str): whether that file can be loaded as a module (bool).
    sets_loginuid
        Called with a path (str) of a file called pam_loginuid.so: whether it is what its name says (bool).
    """

    read: Callable[[str], bytes | None]
    directory: Callable[[str], bool]
    module: Callable[[str], bool]
    sets_loginuid: Callable[[str], bool] = lambda path: True


class Handler(typing.NamedTuple):
    """
    One step of a stack.

    kind
        ``module``, ``must fail`` (it fails whenever it is called), ``substack`` (its content follows, one level up), or
        ``uncertain``: Debian's ``@include`` of a file that cannot be read, in a file that is included itself. It fails,
        and what that leads to is left over from some line before it; the actions are all that there can be.
    level
        The number of substacks around it (int).
    actions
        What each return value leads to (tuple of int).
    module
        The module as written (str), or the substack's file.
    found
        The file that is loaded (str), empty for none: what is called returns ``module_unknown``.
    arguments
        Of the module (tuple of str).
    control
        As written (str).
    sets
        Whether it is a pam_loginuid.so that can be loaded (bool).
    file, line
        Where it is written (str, int).
    root
        The line (int) of the service's own file that it came by.
    """

    kind: str
    level: int
    actions: tuple[int, ...]
    module: str
    found: str = ""
    arguments: tuple[str, ...] = ()
    control: str = ""
    sets: bool = False
    file: str = ""
    line: int = 0
    root: int = 0

    @property
    def names_loginuid(self) -> bool:
        """Whether it is, or was meant to be, pam_loginuid.so (bool)."""
        return self.kind != SUBSTACK and LOGINUID in (self.module.rpartition("/")[2], self.control)


class Reading(typing.NamedTuple):
    """
    What Linux-PAM makes of a service.

    path
        The service's own file (str), empty when there is none.
    own
        The handlers of that file and what it includes: ``{type: (Handler, …)}``.
    other
        Those of ``other``, which serves each type that has no line there.
    lines
        The :class:`Line` of the service's own file.
    refused
        Why nobody can use the service at all (str), empty when nothing is in the way.
    """

    path: str
    own: dict[str, tuple[Handler, ...]]
    other: dict[str, tuple[Handler, ...]]
    lines: tuple[Line, ...]
    refused: str = ""

    def stack(self, kind: str) -> tuple[Handler, ...]:
        """Return the handlers (tuple of :class:`Handler`) that are called for a type (str), such as ``session``."""
        return self.own.get(kind) or self.other.get(kind) or ()


def actions(control: bytes, library: Library) -> tuple[int, ...]:
    """
    Return what each return value leads to (tuple of int) by a ``control`` (bytes): a keyword, or what stood in ``[…]``.

    An error in it, wherever it stands, makes every value bad.
    """
    word = control.lower()
    if word in CONTROLS:
        good, ignored, rest = CONTROLS[word]
        known = {SUCCESS: good, NEW_AUTHTOK: good, IGNORED: ignored}
        return tuple(known.get(value, rest) for value in range(len(RETURNS)))
    found = [UNDEFINED] * len(RETURNS)
    try:
        while control := control.lstrip():
            control = _assign(found, control, library)
    except ValueError:
        return (BAD,) * len(RETURNS)
    return tuple(BAD if value == UNDEFINED else value for value in found)


def _assign(found: list[int], control: bytes, library: Library) -> bytes:
    """Take one ``value=action`` off ``control``; return what is left of it. Raises ValueError."""
    name = next(name for name in (*RETURNS, "default", "") if control.startswith(name.encode()))
    rest = control[len(name) :].lstrip()
    if not name or not rest.startswith(b"="):
        raise ValueError(control)
    action, rest = _action(rest[1:].lstrip(), library)
    if name == "default":
        found[:] = [action if value == UNDEFINED else value for value in found]
    else:
        found[RETURNS.index(name)] = action
    return rest


def _action(text: bytes, library: Library) -> tuple[int, bytes]:
    for number, word in enumerate(ACTIONS):
        if text.startswith(word):
            return -number, text[len(word) :]
    rest = text.lstrip(b"0123456789")
    jump = int(text[: len(text) - len(rest)] or b"0")
    if jump >= 2**31 and not library.modern:
        # Before 1.6 the number wraps.
        jump = (jump + 2**31) % 2**32 - 2**31
    if not jump or jump >= 2**31:
        raise ValueError(text)
    return jump, rest


def read(disk: Disk, library: Library, service: str) -> Reading:
    """
    Return what Linux-PAM makes of a service (:class:`Reading`).

    disk
        The host's files (:class:`Disk`).
    library
        The installed Linux-PAM (:class:`Library`).
    service
        The service's name (str), such as ``sshd``.
    """
    reader, refused = _Reader(disk, library, service), ""
    try:
        reader.service_files()
    except (Broken, Refused) as exc:
        refused = str(exc)
    own, other = ({kind: tuple(found) for kind, found in chain.items()} for chain in reader.chains)
    return Reading(reader.path, own, other, tuple(reader.lines), refused)


def find_module(disk: Disk, library: Library, module: str) -> str:
    """Return the file (str) that is loaded for a ``module`` as written (str); empty when there is none."""
    paths = [module] if module.startswith("/") else [directory + module for directory in library.modules]
    if "$ISA" in module:
        written = module if library.debian else paths[0]
        paths.append(written.replace("$ISA", library.isa, 1))
    return next((path for path in paths if disk.module(path)), "")


class _Where(typing.NamedTuple):
    """The file that is read: for which service (None: each line says it) and type (None: all), and how deep."""

    path: str
    service: bytes | None
    kind: bytes | None = None
    depth: int = 0
    level: int = 0
    root: int = 0


class _Entry(typing.NamedTuple):
    """The beginning of a line: its type (None: all), and whether it must fail or is Debian's ``@include``."""

    kind: bytes | None
    fails: bool = False
    at_include: bool = False


class _Reader:
    def __init__(self, disk: Disk, library: Library, service: str) -> None:
        self._disk, self._library = disk, library
        self._service = service.rpartition("/")[2].encode("utf-8", "surrogateescape").lower()
        self._left = MOST
        self.chains: tuple[dict[str, list[Handler]], dict[str, list[Handler]]] = ({}, {})
        self.path = ""
        self.lines: list[Line] = []

    def service_files(self) -> None:
        if not any(map(self._disk.directory, self._library.directories)):
            data = self._disk.read("/etc/pam.conf")
            if data is None:
                raise Broken("there is neither /etc/pam.d nor /etc/pam.conf")
            return self._file(data, _Where("/etc/pam.conf", None))
        found = [self._open(name, self._library.directories) for name in (self._service, b"other")]
        for (path, data), name in zip(found, (self._service, b"other"), strict=True):
            if data is not None:
                self.path = path if name == self._service else self.path
                self._file(data, _Where(path, name))
        if all(data is None for _, data in found):
            raise Broken(f"there is no file {_text(self._service)} and no file other")
        return None

    def _open(self, name: bytes, directories: tuple[str, ...]) -> tuple[str, bytes | None]:
        written = _text(name)
        paths = [written] if written.startswith("/") else [f"{directory}/{written}" for directory in directories]
        return next(((path, data) for path in paths if (data := self._disk.read(path)) is not None), ("", None))

    def _file(self, data: bytes, where: _Where) -> None:
        try:
            for line in pam_lines.lines(data, self._library.modern):
                top = where.depth == 0 and where.service != b"other"
                if top:
                    self.lines.append(line)
                self._line(line, where._replace(root=line.first if where.depth == 0 else where.root))
        except Broken as exc:
            raise Broken(f"{where.path}: {exc}") from None

    def _line(self, line: Line, where: _Where) -> None:
        tokens = Tokens(line.text)
        service = tokens.take() if where.service is None else where.service
        if service is None:
            raise Refused(f"{where.path}, line {line.first}: Linux-PAM ends with a fault")
        other = service.lower() == b"other"
        if not other and service.lower() != self._service:
            return
        entry = self._entry(tokens, where)
        if where.kind and entry.kind != where.kind:
            return
        self._rest(tokens, entry, line, where._replace(service=service))

    def _entry(self, tokens: Tokens, where: _Where) -> _Entry:
        word = tokens.take()
        kind = word.removeprefix(b"-").lower() if word is not None else b""
        if kind in TYPES:
            return _Entry(kind)
        if kind == b"@include" and self._library.debian:
            return _Entry(where.kind, at_include=True)
        return _Entry(where.kind or b"auth", fails=True)

    def _rest(self, tokens: Tokens, entry: _Entry, line: Line, where: _Where) -> None:
        control = b"include" if entry.at_include else tokens.take()
        handler = self._handler(control, line, where)
        name = tokens.take()
        if control is not None and control.lower() in (b"include", b"substack"):
            if control.lower() == b"substack":
                self._add(handler._replace(kind=SUBSTACK, module=_named(name)), entry, where)
            if self._include(name, entry, handler, where):
                return None
            name = None
            if entry.at_include:
                uncertain = handler._replace(kind=UNCERTAIN, actions=ANYTHING, module=UNKNOWN)
                return self._add(uncertain, entry, where)
        kind = MUST_FAIL if entry.fails or name is None else MODULE
        arguments = tuple(map(_text, tokens.all())) if name is not None else ()
        return self._add(handler._replace(kind=kind, module=_named(name), arguments=arguments), entry, where)

    def _handler(self, control: bytes | None, line: Line, where: _Where) -> Handler:
        table = (BAD,) * len(RETURNS) if control is None else actions(control, self._library)
        written = _text(control or b"")
        return Handler(
            MODULE, where.level, table, "", control=written, file=where.path, line=line.first, root=where.root
        )

    def _include(self, name: bytes | None, entry: _Entry, handler: Handler, where: _Where) -> bool:
        """Read a file in the place of a line; False where the line becomes one that must fail."""
        if name is None:
            if self._library.debian:
                raise Refused(f"{where.path}, line {handler.line}: an include without a file ends Linux-PAM")
            return False
        level = where.level + (handler.control.lower() == "substack")
        counted = where.depth + 1 if self._library.modern else level
        if counted >= DEEPEST or where.depth + 1 >= ENDLESS:
            return False
        path, data = self._open(name, self._library.directories[: 1 if self._library.debian else None])
        if data is None:
            return False
        try:
            self._file(data, _Where(path, where.service, entry.kind, where.depth + 1, level, where.root))
        except Broken:
            return False
        return True

    def _add(self, handler: Handler, entry: _Entry, where: _Where) -> None:
        self._left -= 1
        if self._left < 0:
            raise Refused(f"{where.path} includes itself: Linux-PAM reads for hours")
        if handler.kind == MODULE:
            found = find_module(self._disk, self._library, handler.module)
            is_loginuid = handler.module.rpartition("/")[2] == LOGINUID
            sets = bool(found) and is_loginuid and self._disk.sets_loginuid(found)
            handler = handler._replace(found=found, sets=sets)
        if entry.kind is None:
            raise Broken(f"line {handler.line}: what it includes cannot be read")
        other = (where.service or b"").lower() == b"other"
        self.chains[other].setdefault(entry.kind.decode(), []).append(handler)
        last = handler.module.rpartition("/")[2]
        if (last.rpartition(".")[0] if "." in last else last) in ("", "?"):
            raise Broken(f"line {handler.line}: {handler.module} is no name of a module")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _named(name: bytes | None) -> str:
    return UNKNOWN if name is None else _text(name)
