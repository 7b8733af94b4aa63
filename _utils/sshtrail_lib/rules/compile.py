"""
Audit rules as the kernel holds them: compiled by the installed libaudit, and described again as lines.

Every string and length is checked before it reaches C, so that the library's own limits are never met.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct

from sshtrail_lib.base import kernel
from sshtrail_lib.rules import accounts, fields, language, layout, words
from sshtrail_lib.rules.fields import Part, RuleError, near
from sshtrail_lib.rules.language import Control, Rule
from sshtrail_lib.rules.layout import FILTER_NUMBERS, PERM_BITS

GLOBALS = (
    "_audit_permadded",
    "_audit_archadded",
    "_audit_syscalladded",
    "_audit_exeadded",
    "_audit_filterfsadded",
    "_audit_elf",
)
# libaudit's errormsg.h, as far as the checks of the language leave them to the library.
REFUSALS = {
    3: "arch must stand before -S",
    4: "this machine has no such arch",
    5: "this machine has no such arch",
    6: "this machine has no programs of that width",
    8: "unknown message type",
    12: "the exclude list takes only msgtype, pid, uid, gid, auid, subj_* and exe on this kernel",
    15: "unknown error name",
    19: "a key needs a watch, a system call (-S) or a field path, dir, exe, perm or fstype before it",
    28: f"a rule has at most {layout.MAX_FIELDS - 1} fields",
    30: "this kernel does not support the field",
    35: "this kernel does not support the list",
    36: "unknown file system; libaudit knows debugfs, tracefs and cgroups, others as a number",
    37: "the number is too large",
}


def compile(rule: Rule) -> bytes:  # the word of the trade
    """
    Return the bytes by which the kernel knows ``rule`` (:class:`sshtrail_lib.rules.language.Rule`) on this host.

    They are those that the kernel lists after the installed auditctl loaded the same line; empty where it passes over
    the line without a word. Raises
    :class:`sshtrail_lib.rules.language.RuleError` when libaudit refuses the rule.
    """
    numbers = tuple(_number(part) for part in rule.parts if fields.is_identity(part))
    return _compile(rule, bool(rule.watch) and os.path.isdir(rule.watch), numbers)


@functools.lru_cache(maxsize=16384)
def _compile(rule, _is_directory, numbers):
    """Compile ``rule``; the other arguments are what its bytes depend on besides its text."""
    lib = kernel.library()
    if _flag(rule.filter) != FILTER_NUMBERS[rule.filter]:
        raise RuleError(f"The installed libaudit does not know the list {rule.filter}; it is too old.")
    # Since the release that brought this list (3.1) auditctl looks the names up in libaudit, as small letters.
    if rule.spelled and _flag("io_uring") < 0:
        raise RuleError(f"The installed auditctl knows the list {rule.filter} only so, and not as {rule.spelled}.")
    passed_over = rule.action == words.POSSIBLE
    with _Compiler(lib, numbers) as compiler:
        for part in rule.parts:
            # What stands before such a list was read as if for this one.
            compiler.take(part, "exit" if passed_over else rule.filter)
        return b"" if passed_over else compiler.finish(rule)


@functools.cache
def _flag(name):
    return kernel.library().audit_name_to_flag(name.encode())


@functools.cache
def _global(name):
    """Return one of libaudit's own variables, which all are numbers of 32 bits."""
    return ctypes.c_uint.in_dll(kernel.library(), name)


#: What the compiler does with each kind of part.
TAKES = {"-F": "field", "-C": "compare", "-S": "syscalls", "-w": "watch", "-p": "perms"}


class _Compiler:
    """One rule under construction in libaudit's memory."""

    def __init__(self, lib, numbers):
        self.lib, self.numbers = lib, iter(numbers)

    def __enter__(self):
        for name in GLOBALS:
            _global(name).value = 0
        self.rule = ctypes.c_void_p(_create(self.lib))
        return self

    def __exit__(self, *_exc):
        self.lib.audit_rule_free_data(self.rule)

    def take(self, part, filter_):
        getattr(self, TAKES[part.option])(part, FILTER_NUMBERS[filter_])

    def field(self, part, filter_):
        value = str(next(self.numbers)) if fields.is_identity(part) else part.value
        self.pair(self.lib.audit_rule_fieldpair_data, part, value, filter_)
        if part.name == "perm":
            self.set("_audit_permadded")

    def compare(self, part, filter_):
        self.pair(self.lib.audit_rule_interfield_comp_data, part, part.value, filter_)

    def pair(self, function, part, value, filter_):
        self.check(function(ctypes.byref(self.rule), _text(f"{part.name}{part.operator}{value}"), filter_), part)

    def check(self, code, part):
        if code:
            raise RuleError(f"{part}: {REFUSALS.get(-code, f'libaudit refuses it (its error {-code})')}.")

    def syscalls(self, part, filter_):
        if filter_ == FILTER_NUMBERS["io_uring"]:
            return self.operations(part)
        self.know_machine()
        for name in filter(None, part.value.split(",")):
            if _class_bit(name) or self.lib.audit_rule_syscallbyname_data(self.rule, _text(name)):
                raise RuleError(f"Unknown system call {name!r}{near(name, syscall_names(self.elf()).values())}.")
        return self.set("_audit_syscalladded")

    def operations(self, part):
        if not hasattr(self.lib, "audit_rule_io_uringbyname_data"):
            raise RuleError("The installed libaudit knows no io_uring operations; it is older than 3.1.")
        for name in part.value.split(","):
            if self.lib.audit_rule_io_uringbyname_data(self.rule, _text(name)):
                raise RuleError(f"Unknown io_uring operation {name!r}.")
        self.set("_audit_syscalladded")

    def know_machine(self):
        if not self.elf():
            self.set("_audit_elf", self.lib.audit_machine_to_elf(self.lib.audit_detect_machine()))

    def elf(self):
        return _global("_audit_elf").value

    def watch(self, part, _filter):
        kind = layout.DIR if os.path.isdir(part.value) else layout.WATCH
        self.set("_audit_syscalladded")
        self.check(self.lib.audit_add_watch_dir(kind, ctypes.byref(self.rule), _text(part.value)), part)

    def perms(self, part, _filter):
        bits = sum(PERM_BITS[letter] for letter in part.value)
        self.check(self.lib.audit_update_watch_perms(self.rule, bits), part)
        self.set("_audit_permadded")

    def set(self, name, value=1):
        _global(name).value = value

    def finish(self, rule):
        if rule.keys:
            self.field(Part("-F", layout.KEY_SEPARATOR.join(rule.keys), "key", "="), FILTER_NUMBERS[rule.filter])
        if rule.filter != "task" and not _global("_audit_syscalladded").value:
            self.lib.audit_rule_syscallbyname_data(self.rule, b"all")
        return self.listed(rule)

    def listed(self, rule):
        header = ctypes.string_at(self.rule, layout.HEADER.size)
        data = ctypes.string_at(self.rule, layout.HEADER.size + layout.length(header))
        return layout.listed(data, rule.filter, rule.action)


def has_b32() -> bool:
    """Tell whether the installed libaudit knows 32-bit programs on this machine (bool): not on every arm or power."""
    return kernel.library().audit_determine_machine(b"b32") >= 0


def absent_directory(line: Rule | Control) -> str | None:
    """Return the directory (str) that the kernel needs to take a ``line`` and that is not there, or None."""
    if isinstance(line, Control):
        paths = line.value.split(",") if line.option == "-q" else []
        return next((path for path in paths if not os.path.exists(path)), None)
    places = (needed(part) for part in line.parts if is_place(part))
    first = next(places, None)
    return None if first is None or os.path.exists(first) else first


def is_place(part: Part) -> bool:
    """Tell whether a ``part`` of a rule names a place that the kernel looks up when it takes the rule (bool)."""
    return part.option == "-w" or part.name in fields.PATHS


def needed(part: Part) -> str:
    """Return the directory (str) that must be there for the kernel to take a ``part`` that :func:`is_place`."""
    return part.value if part.name == "dir" else os.path.dirname(part.value)


def _class_bit(name):
    """Tell whether ``name`` is a number of no system call but of a whole class, which the kernel would expand."""
    return (fields.integer(name) or 0) >= layout.FIRST_CLASS_BIT


def _create(lib):
    lib.audit_rule_create_data.restype = ctypes.c_void_p
    address = lib.audit_rule_create_data()
    if not address:
        raise MemoryError("libaudit has no memory for a rule")
    return address


def _number(part):
    return accounts.number(part.name, part.value)


def _text(text):
    """Return ``text`` (str) as a writable C string: libaudit cuts it into pieces in place."""
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data or len(data) > language.LONGEST_LINE:
        raise RuleError(f"{text[:40]!r} cannot be handed to libaudit: too long, or it holds a NUL.")
    return ctypes.create_string_buffer(data)


@functools.cache
def syscall_names(elf: int) -> dict[int, str]:
    """Return the system calls of the architecture ``elf`` (int) that the installed libaudit knows: {number: name}."""
    lib = kernel.library()
    machine = lib.audit_elf_to_machine(ctypes.c_uint(elf))
    lib.audit_syscall_to_name.restype = ctypes.c_char_p
    names = {number: lib.audit_syscall_to_name(number, machine) for number in range((layout.MASK_WORDS - 1) * 32)}
    return {number: name.decode() for number, name in names.items() if name}


@functools.cache
def exec_calls(elf: int) -> int:
    """Return the bits (int) of the system calls that execute a program on the architecture ``elf`` (int)."""
    return sum(1 << number for number, name in syscall_names(elf).items() if name in ("execve", "execveat"))


# ---- from the kernel --------------------------------------------------------------------------------------------


def decompile(data: bytes) -> Rule:
    """
    Return the :class:`sshtrail_lib.rules.language.Rule` for a rule of the kernel.

    data
        As :func:`sshtrail_lib.base.kernel.rules` or :func:`compile` give it (bytes).

    It is never written as a watch: what ``-w`` stands for depends on what its path is at the moment. It compiles to
    the same bytes, with one kind of exception: an old kernel or library may know fields that this library does
    not; their numbers are shown then.
    """
    packed, strings = layout.unpack(data)
    found = list(_fields(packed, iter(strings)))
    keys = tuple(key for name, _, value in found if name == "key" for key in value.split(layout.KEY_SEPARATOR))
    parts = [_part(*field) for field in found if field[0] != "key"]
    calls = _calls(packed, found)
    if calls:
        # Without an arch -S comes last: before a perm it would make libaudit put in the perm's own calls.
        after_arch = 1 + max((at for at, part in enumerate(parts) if part.name == "arch"), default=len(parts) - 1)
        parts.insert(after_arch, Part("-S", calls))
    action = layout.ACTION_NAMES.get(packed.action, str(packed.action))
    return Rule(action, layout.FILTER_NAMES.get(packed.filter, str(packed.filter)), tuple(parts), keys)


def _fields(packed, strings):
    for number, operator, value in packed.fields:
        name, sign = _field_name(number), layout.OPERATOR_NAMES.get(operator, "?")
        yield name, sign, next(strings) if number in layout.STRINGS else _shown(name, value)


@functools.cache
def _field_name(number):
    """Return the name (str) of the kernel's field ``number`` (int), or the number in brackets."""
    lib = kernel.library()
    lib.audit_field_to_name.restype = ctypes.c_char_p
    name = lib.audit_field_to_name(number)
    name = name.decode() if name else f"field[{number}]"
    return fields.ALIASES.get(name, name)


#: Fields in which the highest number says that there is none.
MAY_BE_UNSET = frozenset((*fields.UIDS, "sessionid"))


def _shown(name, value):
    if name in MAY_BE_UNSET:
        return "unset" if value == fields.UNSET else str(value)
    return SHOWN.get(name, str)(value)


@functools.cache
def _arch(value):
    lib = kernel.library()
    for name in ("b64", "b32"):
        if lib.audit_machine_to_elf(lib.audit_determine_machine(name.encode())) & 0xFFFFFFFF == value:
            return name
    lib.audit_machine_to_name.restype = ctypes.c_char_p
    return (lib.audit_machine_to_name(lib.audit_elf_to_machine(value)) or hex(value).encode()).decode()


def _perm(value):
    return "".join(letter for letter in "rwxa" if value & PERM_BITS[letter])


def _exit(value):
    signed = struct.unpack("=i", struct.pack("=I", value))[0]
    lib = kernel.library()
    lib.audit_errno_to_name.restype = ctypes.c_char_p
    name = lib.audit_errno_to_name(-signed) if signed < 0 else None
    return f"-{name.decode()}" if name else str(signed)


def _named(function):
    def shown(value):
        call = getattr(kernel.library(), function)
        call.restype = ctypes.c_char_p
        name = call(value)
        return name.decode() if name else str(value)

    return shown


SHOWN = {
    "arch": _arch,
    "perm": _perm,
    "exit": _exit,
    "msgtype": _named("audit_msg_type_to_name"),
    "filetype": _named("audit_ftype_to_name"),
    "fstype": _named("audit_fstype_to_name"),
    **dict.fromkeys(fields.ARGUMENTS, hex),
}


def _part(name, operator, value):
    if name != "field_compare":
        return Part("-F", value, name, operator)
    left, right = fields.COMPARISONS.get(int(value), f"field_compare,{value}").split(",")
    return Part("-C", right, left, operator)


def _calls(packed, found):
    if packed.filter not in (FILTER_NUMBERS["exit"], FILTER_NUMBERS["io_uring"]):
        return ""
    calls = _listed(packed.mask, packed.filter, _elf(packed))
    return "" if calls == "all" and (packed.filter != FILTER_NUMBERS["exit"] or _all_is_understood(found)) else calls


@functools.lru_cache(maxsize=1024)
def _listed(mask, filter_, elf):
    """Return the system calls of a ``mask`` as -S takes them (str)."""
    numbers = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    if len(numbers) >= 32 * (layout.MASK_WORDS - 1):
        return "all"
    names = syscall_names(elf) if filter_ == FILTER_NUMBERS["exit"] else {}
    return ",".join(names.get(number, str(number)) for number in numbers)


def _all_is_understood(found):
    """Tell whether a rule without -S compiles to all system calls: with an arch, libaudit may put in the perm's own."""
    names = [name for name, _operator, _value in found]
    return "arch" not in names and any(name in names for name in ("path", "dir", "perm"))


def _elf(packed):
    # The last one, as that is where libaudit looks the names up.
    named = (value for number, _operator, value in reversed(packed.fields) if number == layout.ARCH)
    return next(named, None) or _own_elf()


@functools.cache
def _own_elf():
    lib = kernel.library()
    return lib.audit_machine_to_elf(lib.audit_detect_machine()) & 0xFFFFFFFF
