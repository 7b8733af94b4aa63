"""
What a load of rules leaves in an empty kernel, line by line, as auditctl and the kernel do it.

Source: auditctl.c, auditctl-listing.c, the kernel's auditfilter.c.
"""

from __future__ import annotations

from sshtrail_lib.rules import compile
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.files import Broken, Origin
from sshtrail_lib.rules.language import Control, Rule

#: Behind it the kernel takes no rule.
LOCK = Control("-e", "2")


class Load:
    """What a load of rules leaves in an empty kernel, entry by entry, as auditctl does it."""

    def __init__(self) -> None:
        self._behind: dict[bytes, Origin] = {}
        self._before: dict[bytes, Origin] = {}
        self.broken: list[Broken] = []
        self.repeated: set[bytes] = set()
        #: Rules whose directory is not there: no load takes them, but a kernel may hold them from when it was.
        self.absent: set[bytes] = set()
        self._lock: Origin | None = None

    @property
    def rules(self) -> dict[bytes, Origin]:
        """The rules in the kernel's order (``{bytes: Origin}``), and those that are ``absent``, in their places."""
        return {**dict(reversed(self._before.items())), **self._behind}

    def holding(self, data: bytes) -> Origin | None:
        """Return the entry by which the kernel holds the rule ``data`` (bytes), None for none."""
        return self._before.get(data) or self._behind.get(data)

    def take(self, entry: Origin) -> None:
        """Do what an ``entry`` says; one that is refused is among the ``broken``, and nothing is done."""
        if not isinstance(entry.value, Rule):
            self._control(entry)
            return
        if self._lock:
            self.broken.append(
                broken_line(
                    self._lock,
                    f"It locks the kernel, so nothing behind it loads until a reboot: {entry.file} line {entry.line}",
                )
            )
            self._lock = None
        try:
            self._add(entry, compile.compile(entry.value))
        except RuleError as exc:
            self.broken.append(broken_line(entry, exc.reason))

    def _control(self, entry):
        if entry.value.option == "-D":
            self._clear(entry.value.value.removeprefix("-k "))
        elif entry.value == LOCK:
            self._lock = entry

    def _clear(self, key):
        for held in (self._behind, self._before):
            for data in [data for data, entry in held.items() if _has_key(entry.value, key)]:
                del held[data]

    def _add(self, entry, data):
        if not data:
            return
        held = next((rules for rules in (self._before, self._behind) if data in rules), None)
        if entry.value.verb == "-d":
            self._delete(held, data)
            return
        self._look_for_directory(entry, data)
        if entry.value.verb == "-A":
            # The kernel takes any number of copies in front, and decides by the first.
            self.repeated |= {data} if held is not None else set()
            self._behind.pop(data, None)
            self._before.pop(data, None)
            self._before[data] = entry
        elif held is not None:
            raise RuleError(f"The same rule as {_place(held[data])}; a load stops here")
        else:
            self._behind[data] = entry

    def _delete(self, held, data):
        if held is not None:
            del held[data]
        if held is None or data in self.absent:
            raise RuleError("There is no such rule to delete; a load stops here")

    def _look_for_directory(self, entry, data):
        """Raise RuleError where the kernel refuses a rule for its place, which is so whatever comes later."""
        absent = compile.absent_directory(entry.value)
        if absent:
            self.absent.add(data)
            (self._before if entry.value.verb == "-A" else self._behind).setdefault(data, entry)
            raise RuleError(f"{absent} does not exist, so the kernel refuses {entry.value}")


def _has_key(rule, key):
    # auditctl-listing.c, key_match: also a part of a key is enough, and without one it is every rule.
    return not key or any(key in one for one in rule.keys)


def _place(entry):
    return f"{entry.file}, line {entry.line}" if entry.file else f"in line {entry.line}"


def broken_line(entry: Origin, reason: str) -> Broken:
    """Return that the line of ``entry`` does not load for a ``reason`` (str)."""
    return Broken(entry.file, entry.line, str(entry.value), reason)
