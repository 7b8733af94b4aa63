"""
The smallest edit of a tree that makes one wish come true: which line is changed, added or removed, and where.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import effective, include, keywords, language, match, values
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Arguments, BadValue
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.language import Line
from sshtrail_lib.sshd.wish import BadWish, Wish, holds, lines_of

#: The name of our own drop-in; it sorts before those that packages bring.
DROP_IN = "00-sshtrail.conf"


class ShadowedError(CommandExecutionError):
    """Another line decides, and the caller forbade to touch it."""


def edited(tree: Tree, wanted: Wish, shadowed: str) -> Tree:
    """
    Return the Tree that ``tree`` becomes when ``wanted`` (Wish) is to be true in it.

    shadowed
        What to do where a line outside the main file decides: ``fix``, ``drop_in`` or ``fail`` (str).

    Raises ShadowedError, and BadWish for what cannot be written. Whether the wish is true then, the caller looks.
    """
    try:
        return _Edit(tree, wanted, shadowed).result()
    except BadValue as exc:
        raise BadWish(f"{wanted.keyword.name} {exc}") from exc


class _Edit:
    """The edit that one wish needs; every step replaces ``tree`` by the tree after it."""

    def __init__(self, tree: Tree, wanted: Wish, shadowed: str) -> None:
        self.tree, self.wanted, self.shadowed = tree, wanted, shadowed
        self.keyword = wanted.keyword

    def result(self) -> Tree:
        """Return the Tree in which the wish is true."""
        self._guard()
        if self.wanted.occurrences is None:
            self._remove(lines_of(self.wanted, self.tree))
        elif self.shadowed == "drop_in" and self._foreign():
            self._write_drop_in()
        elif self.keyword.repeat == keywords.ACCUMULATE:
            self._accumulate()
        else:
            self._decide()
        return self.tree

    def _occurrences(self) -> tuple[Arguments, ...]:
        """What the wish says; only a wish for sshd's default says nothing."""
        return self.wanted.occurrences or ()

    def _criteria(self) -> match.Criteria:
        """Where the wish says it; only a wish for the global part says nothing."""
        return self.wanted.criteria or ()

    def _deciding(self) -> tuple[Setting, ...]:
        found = effective.effective(self.tree, self.wanted.connection).get(self.keyword.name)
        return found.deciding if found else ()

    def _foreign(self) -> list[Setting]:
        """Return the lines outside the main file and our own drop-in that decide now."""
        own = (self.tree.path,)
        return [
            setting
            for setting in self._deciding()
            if setting.file not in own and posixpath.basename(setting.file) != DROP_IN
        ]

    def _guard(self) -> None:
        foreign = self._foreign() if self.shadowed == "fail" else []
        if foreign:
            where = ", ".join(f"{setting.file}:{setting.line.number}" for setting in foreign)
            raise ShadowedError(f"{self.wanted.key} is decided by {where}, which shadowed: fail leaves alone")

    def _decide(self) -> None:
        """A keyword for which one line decides."""
        deciding = self._deciding()
        ours = lines_of(self.wanted, self.tree)
        if self.wanted.criteria is None:
            target = next((one for one in deciding if one in ours), None)
        else:
            target = ours[-1 if self.keyword.repeat == keywords.LAST else 0] if ours else None
        if target:
            self._rewrite(target, self._arguments_for(target))
        else:
            self._insert(self._arguments_for(None))
        self._drop_rivals(ours, target)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _drop_rivals(self, ours: list[Setting], target: Setting | None) -> None:
        """Lines that still decide in the other of sshd's passes, or parts of a value that is decided in parts."""
        for _rival in ours:
            if holds(self.wanted, self.tree) and self._both_passes_agree():
                return
            left = [one for one in self._deciding() if not target or one.where != target.where]
            left = [one for one in left if one in lines_of(self.wanted, self.tree)]
            if not left:
                return
            self._remove(left[:1])

    def _both_passes_agree(self) -> bool:
        return self.keyword.repeat != keywords.MERGE or len(self._deciding()) <= 1

    def _arguments_for(self, target: Setting | None) -> Arguments:
        wanted = self._occurrences()[0]
        if self.wanted.exact or target is None or self.keyword.kind not in sshd_wish.LISTS_ON_A_LINE:
            return wanted
        there = target.line.arguments.words
        return Arguments((*there, *(word for word in wanted.words if word not in there)), wanted.rest)

    def _accumulate(self) -> None:
        """A keyword for which every line adds to a list."""
        ours = lines_of(self.wanted, self.tree)
        missing = list(self._occurrences())
        for setting in reversed(ours):
            missing = self._keep(setting, missing)
        for arguments in self._gathered(missing):
            self._insert(arguments)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _keep(self, setting: Setting, missing: list[Arguments]) -> list[Arguments]:
        """Leave on the line what is wanted, and return what is then still missing."""
        kept, left = [], list(missing)
        for arguments in self._items(setting):
            same = next((one for one in left if self._same(one, arguments)), None)
            if same is not None:
                left.remove(same)
            if same is not None or not self.wanted.exact:
                kept.append(arguments)
        if len(kept) < len(self._items(setting)):
            self._keep_only(setting, kept)
        return left

    def _keep_only(self, setting: Setting, kept: list[Arguments]) -> None:
        if kept:
            self._rewrite(setting, Arguments(tuple(word for one in kept for word in one.words), kept[0].rest))
        else:
            self._remove([setting])

    def _items(self, setting: Setting) -> list[Arguments]:
        if self.keyword.kind in ("users", "words", "accept"):
            return [Arguments((word,), word) for word in setting.line.arguments.words]
        return [setting.line.arguments]

    def _same(self, one: Arguments, other: Arguments) -> bool:
        spelled = [values.spell(self.keyword, [each], self.tree.daemon) for each in (one, other)]
        return spelled[0] == spelled[1]

    def _gathered(self, missing: list[Arguments]) -> list[Arguments]:
        if missing and self.keyword.kind in ("users", "words", "accept"):
            return [Arguments(tuple(word for one in missing for word in one.words))]
        return missing

    def _write_drop_in(self) -> None:
        """Put the wish into our own drop-in, which sshd reads before the line that decides now."""
        if self.wanted.criteria is not None or self.keyword.repeat != keywords.FIRST:
            where = self._foreign()[0]
            raise ShadowedError(f"{self.wanted.key} is decided by {where.file}:{where.line.number}; a drop-in cannot")
        path = self._drop_in_path()
        text = language.render(self.keyword.name, self.keyword, self._arguments_for(None), self.tree.daemon)
        self._store(path, [*map(_raw_of, self.tree.files.get(path, ())), language.encode(text) + b"\n"])

    def _drop_in_path(self) -> str:
        for line in self.tree.files[self.tree.path]:
            for word in line.arguments.words if line.name == "Include" and not line.problem else ():
                path = posixpath.join(posixpath.dirname(include.pattern_of(word)), DROP_IN)
                if include.matches(path, include.pattern_of(word)):
                    return path
        raise ShadowedError(f"{self.tree.path} includes no directory in which a drop-in {DROP_IN} would be read")

    def _store(self, path: str, raws: list[bytes]) -> None:
        self.tree = self.tree.edited({path: b"".join(raws)})

    def _raws(self, path: str) -> list[bytes]:
        return [line.raw for line in self.tree.files[path]]

    def _rewrite(self, setting: Setting, arguments: Arguments) -> None:
        raws = self._raws(setting.file)
        raws[setting.line.number - 1] = language.rewrite(setting.line, arguments, self.tree.daemon)
        self._store(setting.file, raws)

    def _remove(self, settings: Sequence[Setting]) -> None:
        for setting in sorted(settings, key=lambda one: -one.line.number):
            raws = self._raws(setting.file)
            del raws[setting.line.number - 1]
            self._store(setting.file, raws)
            if setting.criteria is not None:
                self._remove_empty_block(setting)

    def _remove_empty_block(self, setting: Setting) -> None:
        """Remove the Match line above where ``setting`` was when no keyword follows it."""
        lines = self.tree.files[setting.file]
        above = [line for line in lines[: setting.line.number - 1] if line.name == "Match"]
        below = [line for line in lines[above[-1].number :] if line.keyword or line.problem] if above else []
        if above and (not below or below[0].name == "Match"):
            raws = self._raws(setting.file)
            del raws[above[-1].number - 1]
            self._store(setting.file, raws)

    def _insert(self, arguments: Arguments) -> None:
        text = language.render(self.keyword.name, self.keyword, arguments, self.tree.daemon)
        if self.wanted.criteria is None:
            self._add(self.tree.path, self._place(), [text])
            return
        block = self._block()
        if block:
            path, number, indent = block
            self._add(path, number, [indent + text])
        else:
            self._add(self.tree.path, len(self.tree.files[self.tree.path]), self._new_block(text))

    def _new_block(self, text: str) -> list[str]:
        return [f"Match {language.render_criteria(self._criteria(), self.tree.daemon)}", f"\t{text}"]

    def _add(self, path: str, number: int, texts: Sequence[str]) -> None:
        """Add lines after line ``number`` of ``path``, with the line ending of its neighbours."""
        raws = self._raws(path)
        ending = b"\r\n" if raws and raws[max(number - 1, 0)].endswith(b"\r\n") else b"\n"
        if number and not raws[number - 1].endswith(b"\n"):
            raws[number - 1] += ending
        raws[number:number] = [language.encode(text) + ending for text in texts]
        self._store(path, raws)

    def _place(self) -> int:
        """Return the line of the main file after which a new global line belongs."""
        lines = self.tree.files[self.tree.path]
        first_match = next((line.number for line in lines if line.name == "Match"), len(lines) + 1)
        head = lines[: first_match - 1]
        same = [line.number for line in head if line.name == self.keyword.name]
        comment = re.compile(rb"[ \t]*#[ \t]*%s(?:[ \t=]|$)" % self.keyword.name.encode(), re.IGNORECASE)
        commented = [line.number for line in head if comment.match(line.raw)]
        if same or commented:
            return (same or commented)[-1]
        # Comments right above a Match block belong to it.
        while head and first_match <= len(lines) and head[-1].raw.lstrip().startswith(b"#"):
            head.pop()
        return len(head)

    def _block(self) -> tuple[str, int, str] | None:
        """Return ``(path, last line, indent)`` of the first Match block with the criteria of the wish, or None."""
        ours = match.canonical(self._criteria())
        for path, line, criteria in effective.blocks(self.tree, self.wanted.connection):
            if match.canonical(criteria) == ours:
                return path, *_end_of_block(self.tree.files[path], line)
        return None

    def _rival(self) -> Setting | None:
        """Return the line of another Match block that decides for the connection of the wish, or None."""
        deciding = [one for one in self._deciding() if one.criteria is not None]
        return next((one for one in deciding if not sshd_wish.ours([one], self.wanted)), None)

    def _move_forward(self) -> None:
        """Another Match block that the same connection meets comes first: put a block of our own before it."""
        rival = self._rival()
        if rival is None or self.keyword.repeat not in (keywords.FIRST, keywords.MERGE):
            return
        if self.shadowed != "fix" and rival.file != self.tree.path:
            raise ShadowedError(f"{self.wanted.key} is decided by {rival.file}:{rival.line.number}")
        self._remove(lines_of(self.wanted, self.tree))
        rival = self._rival() or rival
        head = [line for line in self.tree.files[rival.file][: rival.line.number] if line.name == "Match"][-1]
        texts = [language.render(self.keyword.name, self.keyword, one, self.tree.daemon) for one in self._occurrences()]
        block = self._new_block(texts[0]) + [f"\t{text}" for text in texts[1:]]
        self._add(rival.file, head.number - 1, block)


def _raw_of(line: Line) -> bytes:
    return line.raw if line.raw.endswith(b"\n") else line.raw + b"\n"


def _end_of_block(lines: Sequence[Line], head: Line) -> tuple[int, str]:
    """Return the number of the last keyword line of the block that ``head`` begins, and its indentation."""
    last = head
    for line in lines[head.number :]:
        if line.name == "Match":
            break
        if line.keyword:
            last = line
    if last is head:
        return head.number, "\t"
    return last.number, language.decode(last.raw[: len(last.raw) - len(last.raw.lstrip(b" \t"))])
