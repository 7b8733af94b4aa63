"""
The smallest edit of a tree that makes one wish come true: which line is changed, added or removed, and where.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import blocks, effective, include, keywords, language, match, sections, values
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Arguments, BadValue
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.language import Line
from sshtrail_lib.sshd.wish import BadWish, Wish, holds, lines_of

_PRINCIPALS = "AuthorizedPrincipalsCommand"
_HEADER = "# What this host's SSH audit policy asks of sshd. Written by sshtrail, and removed with it."
#: Below it only packages write.
_PACKAGES = "/usr/"


class ShadowedError(CommandExecutionError):
    """Another line decides, and it may not be touched."""


class _Theirs(ShadowedError):
    """A line would have to be changed in a file that a package brings."""


def edited(tree: Tree, wanted: Wish, shadowed: str) -> Tree:
    """
    Return the Tree that ``tree`` becomes when ``wanted`` (Wish) is to be true in it.

    shadowed
        What to do where a line outside the main file decides: ``fix``, ``drop_in``, ``fail`` or ``own`` (str).

    Raises ShadowedError, and BadWish for what cannot be written. Whether the wish is true then, the caller looks.
    """
    try:
        for member in sshd_wish.members(wanted, tree):
            if not sshd_wish.holds_for(wanted, tree, member):
                tree = _edited(tree, wanted._replace(connection=member), shadowed)
        return tree
    except BadValue as exc:
        raise BadWish(f"{wanted.keyword.name} {exc}") from exc


def _edited(tree: Tree, wanted: Wish, shadowed: str) -> Tree:
    try:
        return _Edit(tree, wanted, shadowed).result()
    except _Theirs as exc:
        # A package's update would bring the line back: ours goes before it.
        for way in (_Edit.result, _Edit.before_includes):
            with contextlib.suppress(ShadowedError):
                return way(_Edit(tree, wanted, "drop_in"))
        raise exc


class _Edit:
    """The edit that one wish needs; every step replaces ``tree`` by the tree after it."""

    def __init__(self, tree: Tree, wanted: Wish, shadowed: str) -> None:
        self.tree, self.wanted, self.shadowed = tree, wanted, shadowed
        self.keyword = wanted.keyword
        #: The file that a new line goes to.
        self.home = (blocks.own_file(tree) if shadowed == "own" else None) or tree.path

    def result(self) -> Tree:
        """Return the Tree in which the wish is true."""
        if self.wanted.occurrences is None:
            self._remove(lines_of(self.wanted, self.tree))
        elif self.keyword.repeat == keywords.ACCUMULATE:
            self._accumulate()
        elif self.shadowed == "drop_in" and self._foreign():
            self._go_before()
        elif self.home == self.tree.path or not self._at_home():
            self._guard()
            if not self._lead():
                self._decide()
        return self.tree

    def _at_home(self) -> bool:
        """Have our own file say it, and return whether it is true then; if not, all is as it was."""
        before = self.tree
        target = next((one for one in lines_of(self.wanted, self.tree) if one.file == self.home), None)
        if target:
            self._rewrite(target, self._arguments_for(target))
        else:
            self._insert(self._arguments_for(None))
        if holds(self.wanted, self.tree) and self._leaves_principals(before):
            return True
        self.tree, self.home = before, before.path
        return False

    def _leaves_principals(self, before: Tree) -> bool:
        """Whether AuthorizedPrincipalsCommand means what it did ``before`` (see :meth:`_lead`)."""
        if self.keyword.name != "AuthorizedKeysCommand":
            return True
        found = (effective.effective(tree, self.wanted.connection)[_PRINCIPALS] for tree in (before, self.tree))
        return len({one.value for one in found}) == 1

    def _occurrences(self) -> tuple[Arguments, ...]:
        """What the wish says; only a wish for sshd's default says nothing."""
        return self.wanted.occurrences or ()

    def _criteria(self) -> match.Criteria:
        """Where the wish says it; only a wish for the global part says nothing."""
        return self.wanted.criteria or ()

    def _deciding(self) -> tuple[Setting, ...]:
        found = effective.effective(self.tree, self.wanted.connection).get(self.keyword.name)
        return found.deciding if found else ()

    def _is_foreign(self, path: str) -> bool:
        return path != self.tree.path and posixpath.basename(path) != blocks.DROP_IN

    def _foreign(self) -> list[Setting]:
        """Return the lines outside the main file and our own drop-in that decide now."""
        return [setting for setting in self._deciding() if self._is_foreign(setting.file)]

    def _guard(self) -> None:
        for setting in self._foreign() if self.shadowed == "fail" else ():
            self._touch(setting)

    def _touch(self, setting: Setting) -> None:
        """Raise where the line that ``setting`` is may not be changed."""
        if not self._is_foreign(setting.file):
            return
        where = f"{self.wanted.key} is decided by {setting.file}:{setting.line.number}"
        if self.shadowed in ("drop_in", "fail"):
            raise ShadowedError(f"{where}, which shadowed: {self.shadowed} leaves alone")
        real = self.tree.disk.real(setting.file)
        if self._is_packages(setting.file, real):
            raise _Theirs(f"{where}, which a package owns: {real}")

    def _is_packages(self, path: str, real: str) -> bool:
        """Whether what is written to ``path`` would go through a link to a file that somebody else brings."""
        return real.startswith(_PACKAGES) or posixpath.dirname(real) != self.tree.disk.real(posixpath.dirname(path))

    def _decide(self) -> None:
        """A keyword for which one line decides."""
        deciding = self._deciding()
        ours = lines_of(self.wanted, self.tree)
        if self.wanted.criteria is None:
            target = next((one for one in deciding if one in ours), None)
        else:
            target = ours[-1 if self.keyword.repeat == keywords.LAST else 0] if ours else None
        if target and not self._beside_section(target):
            self._rewrite(target, self._arguments_for(target))
        elif not target:
            self._insert(self._arguments_for(None))
        self._drop_rivals(ours, target)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _lead(self) -> bool:
        """
        Put AuthorizedPrincipalsCommand before the first AuthorizedKeysCommand, after which some releases take no notice
        of it, and return whether that was necessary.
        """
        first = self._first_keys_command()
        if first is None:
            return False
        self._remove(lines_of(self.wanted, self.tree))
        first = self._first_keys_command() or first
        text = language.render(self.keyword.name, self.keyword, self._occurrences()[0], self.tree.daemon)
        if self.wanted.criteria is None and self._is_foreign(first.file):
            self.before_includes()
            return True
        self._touch(first)
        lines, number = self.tree.files[first.file], first.line.number
        if self.wanted.criteria is None or sshd_wish.ours([first], self.wanted):
            section = sections.around(lines, number)
            place = section.first - 1 if section and self.wanted.criteria is None else number - 1
            self._add(first.file, place, [blocks.indent(first.line) + text])
        else:
            self._add_before(first, self._new_block(text))
        return True

    def _first_keys_command(self) -> Setting | None:
        """Return the AuthorizedKeysCommand that is in the way of the wish, None for none."""
        if self.keyword.name != _PRINCIPALS or not effective.principals_lead(self.tree.daemon.release):
            return None
        found = effective.settings(self.tree, None if self.wanted.criteria is None else self.wanted.connection)[0]
        named = [one for one in found if one.line.name in (_PRINCIPALS, "AuthorizedKeysCommand")]
        return named[0] if named and named[0].line.name != _PRINCIPALS else None

    def _beside_section(self, target: Setting) -> bool:
        """
        Put a line of ours beside the section of another tool in which ``target`` is, or the file that other lines
        include too, where it wins over that one, and return whether there is a place for it.
        """
        lines, before = self.tree.files[target.file], self.tree
        section = sections.around(lines, target.line.number)
        block = self.wanted.criteria is not None
        if section is None and not (block and include.times(self.tree, target.file) > 1):
            return False
        if section is None or block:
            return self._block_beside(target, section)
        last = self.keyword.repeat == keywords.LAST
        begin, end = (target.line.number, section.last) if last else (section.first, target.line.number)
        if any(line.name == "Match" for line in lines[begin - 1 : end]):
            return False
        self._touch(target)
        text = language.render(self.keyword.name, self.keyword, self._arguments_for(target), self.tree.daemon)
        self._add(target.file, section.last if last else section.first - 1, [blocks.indent(target.line) + text])
        if not self._leaves_principals(before):
            self.tree = before
        return self.tree is not before

    def _block_beside(self, target: Setting, section: sections.Section | None) -> bool:
        """The same for a line of a Match block: one of ours goes before it; a section has to begin with its block."""
        assert target.head, "a line of a Match block has a Match line above it"
        path, head = target.head
        lines = self.tree.files[path]
        place, there = blocks.before_block(lines, head), self._block()
        inside = section is not None and (path != target.file or place >= section.first)
        if inside or self.keyword.repeat != keywords.FIRST:
            return False
        self._touch(target if path == target.file else Setting(path, head))
        text = language.render(self.keyword.name, self.keyword, self._arguments_for(target), self.tree.daemon)
        if there and there[0] == path and there[1] <= place:
            self._add(path, there[1], [there[2] + text])
        else:
            self._add(path, place, self._new_block(text))
        return True

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
        """What the line is to say: for a list of which this much is wanted at least, also what counts until now."""
        wanted = self._occurrences()[0]
        if self.wanted.exact or self.keyword.kind not in sshd_wish.LISTS_ON_A_LINE:
            return wanted
        there = target.line.arguments.words if target else self._in_force()
        return Arguments(sshd_wish.joined(self.keyword, there, wanted.words), wanted.rest)

    def _in_force(self) -> tuple[str, ...]:
        """Return the words that count now for whom the wish is about, whoever says them: a line, or sshd's default."""
        found = effective.effective(self.tree, self.wanted.connection).get(self.keyword.name)
        if found and found.deciding:
            return tuple(word for one in found.deciding for word in one.line.arguments.words)
        return tuple(sshd_wish.items(found.value)) if found else ()

    def _accumulate(self) -> None:
        """A keyword for which every line adds to a list."""
        ours = self._counting()
        missing = list(self._occurrences())
        if not self.wanted.exact and not ours:
            missing += self._lost(missing)
        unwanted: list[Setting] = []
        for setting in reversed(ours):
            missing = self._keep(setting, missing, unwanted)
        missing = self._replace(unwanted, missing)
        for arguments in self._gathered(missing):
            self._insert(arguments)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _counting(self) -> list[Setting]:
        """Return the lines of the wish that count; those of the global part do not where "Match all" has some."""
        ours, deciding = lines_of(self.wanted, self.tree), {setting.where for setting in self._deciding()}
        return [one for one in ours if one.where in deciding] if self.wanted.criteria is None else ours

    def _lost(self, wanted: Sequence[Arguments]) -> list[Arguments]:
        """Return what counts now and would not any more as soon as a line of ours does."""
        if self.keyword.kind in ("listen", "subsystem"):
            return []
        there = [Arguments((word,), word) for word in self._in_force()]
        return [one for one in there if not any(self._same(one, other) for other in wanted)]

    def _replace(self, unwanted: list[Setting], missing: list[Arguments]) -> list[Arguments]:
        """
        Let the lines of which nothing is wanted any more say something that is missing, so that a line stays where it
        is, with its comment; remove the others, and return what is then still missing.
        """
        left, others = self._gathered(missing), len(unwanted) < len(self._counting())
        for setting in sorted(unwanted, key=lambda one: one.line.number):
            new = next((one for one in left if self._can_say(setting, one, others)), None)
            if new is not None:
                self._rewrite(setting, new)
                left.remove(new)
                unwanted.remove(setting)
        self._remove(unwanted)
        return left

    def _can_say(self, setting: Setting, new: Arguments, others: bool) -> bool:
        """Whether the line of ``setting`` can say ``new``; where ``others`` stay, one without a comment need not."""
        if sections.around(self.tree.files[setting.file], setting.line.number):
            return False
        if self.keyword.kind == "subsystem":
            return setting.line.arguments.words[:1] == new.words[:1]
        return b"#" in setting.line.raw or not others

    def _keep(self, setting: Setting, missing: list[Arguments], unwanted: list[Setting]) -> list[Arguments]:
        """Leave on the line what is wanted, note one without anything, and return what is then still missing."""
        kept, left = [], list(missing)
        for arguments in self._items(setting):
            same = next((one for one in left if self._same(one, arguments)), None)
            if same is not None:
                left.remove(same)
            if same is not None or not self.wanted.exact:
                kept.append(arguments)
        if not kept:
            unwanted.append(setting)
        elif len(kept) < len(self._items(setting)):
            self._rewrite(setting, Arguments(tuple(word for one in kept for word in one.words), kept[0].rest))
        return left

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

    def _go_before(self) -> None:
        """Put the wish into our own drop-in, which sshd reads before the line that decides now."""
        self.home = self._drop_in_path()
        self._insert(self._arguments_for(None))
        if not holds(self.wanted, self.tree):
            first = (self._foreign() or self._deciding())[:1]
            where = ", ".join(f"{one.file}:{one.line.number}" for one in first)
            raise ShadowedError(f"{self.wanted.key} is decided by {where}, in spite of a line in {self.home}")

    def before_includes(self) -> Tree:
        """Return the Tree with the wish in the main file, before the first line that includes another."""
        first = next((line for line in self.tree.files[self.tree.path] if line.name in ("Include", "Match")), None)
        if self._occurrences() and self.wanted.criteria is None and first and first.name == "Include":
            text = language.render(self.keyword.name, self.keyword, self._arguments_for(None), self.tree.daemon)
            number = blocks.outside(self.tree.files[self.tree.path], first.number - 1)
            self._add(self.tree.path, number or 0, [text])
        if not holds(self.wanted, self.tree):
            raise ShadowedError(self.wanted.key)
        return self.tree

    def _drop_in_path(self) -> str:
        lines = [line for line in self.tree.files[self.tree.path] if line.name == "Include" and not line.problem]
        found = next(filter(None, map(blocks.drop_in_of, lines)), None)
        if found is None:
            raise ShadowedError(
                f"{self.tree.path} includes no directory in which a drop-in {blocks.DROP_IN} would be read"
            )
        return found

    def _store(self, path: str, raws: list[bytes]) -> None:
        self.tree = self.tree.edited({path: b"".join(raws)})

    def _raws(self, path: str) -> list[bytes]:
        return [line.raw for line in self.tree.files.get(path, ())]

    def _rewrite(self, setting: Setting, arguments: Arguments) -> None:
        self._touch(setting)
        raws = self._raws(setting.file)
        raws[setting.line.number - 1] = language.rewrite(setting.line, arguments, self.tree.daemon)
        self._store(setting.file, raws)

    def _remove(self, settings: Sequence[Setting]) -> None:
        for setting in sorted(settings, key=lambda one: -one.line.number):
            self._touch(setting)
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
            below = self._below_match_all()
            path, number, indent = below or (self.home, self._place(), "")
            self._add(path, number, [indent + text])
            return
        block = self._block()
        if block:
            path, number, indent = block
            self._add(path, number, [indent + text])
        else:
            self._add(self.home, len(self.tree.files.get(self.home, ())), self._new_block(text))

    def _below_match_all(self) -> tuple[str, int, str] | None:
        """Return where one more line of a list counts that stands below "Match all": ``(path, line, indent)``."""
        ours = [one for one in self._counting() if one.criteria is not None and one.keyword.in_match]
        if self.keyword.repeat != keywords.ACCUMULATE or not ours:
            return None
        self._touch(ours[-1])
        number = blocks.outside(self.tree.files[ours[-1].file], ours[-1].line.number)
        return ours[-1].file, ours[-1].line.number if number is None else number, blocks.indent(ours[-1].line)

    def _new_block(self, text: str) -> list[str]:
        return [f"Match {language.render_criteria(self._criteria(), self.tree.daemon)}", f"\t{text}"]

    def _add(self, path: str, number: int, texts: Sequence[str]) -> None:
        """Add lines after line ``number`` of ``path``, with the line ending of its neighbours."""
        raws = self._raws(path)
        if self.shadowed == "own" and path == self.home and path not in self.tree.files:
            texts = [_HEADER, *texts]
        ending = b"\r\n" if raws and raws[max(number - 1, 0)].endswith(b"\r\n") else b"\n"
        if number and not raws[number - 1].endswith(b"\n"):
            raws[number - 1] += ending
        raws[number:number] = [language.encode(text) + ending for text in texts]
        self._store(path, raws)

    def _place(self) -> int:
        """Return the line of the file after which a new global line belongs: in no section of another tool."""
        lines = self.tree.files.get(self.home, [])
        first_match = next((line.number for line in lines if line.name == "Match"), len(lines) + 1)
        head, theirs = lines[: first_match - 1], sections.sections(lines)
        free = [line for line in head if not any(line.number in one for one in theirs)]
        same = [line.number for line in free if line.name == self.keyword.name]
        comment = re.compile(rb"[ \t]*#[ \t]*%s(?:[ \t=]|$)" % self.keyword.name.encode(), re.IGNORECASE)
        commented = [line.number for line in free if comment.match(line.raw)]
        if same or commented:
            return max([(same or commented)[-1], *self._followed(head)])
        # Comments right above a Match block belong to it.
        while head and first_match <= len(lines) and head[-1] in free and head[-1].raw.lstrip().startswith(b"#"):
            head.pop()
        inside = next((one for one in theirs if one.first <= len(head) < one.last), None)
        return inside.first - 1 if inside else len(head)

    def _followed(self, head: Sequence[Line]) -> list[int]:
        """Return the numbers of the lines of ``head`` after which a new line has to stand (see :meth:`_lead`)."""
        leads = self.keyword.name == "AuthorizedKeysCommand" and effective.principals_lead(self.tree.daemon.release)
        return [line.number for line in head if line.name == _PRINCIPALS] if leads else []

    def _block(self) -> tuple[str, int, str] | None:
        """
        Return ``(path, last line, indent)`` of the first Match block with the criteria of the wish, None without any
        that does not go with another tool's section.
        """
        ours = match.canonical(self._criteria())
        for path, line, criteria in effective.blocks(self.tree, self.wanted.connection):
            here = (path == self.home or self.home == self.tree.path) and include.times(self.tree, path) == 1
            if match.canonical(criteria) == ours and here and not sections.around(self.tree.files[path], line.number):
                number, indent = blocks.end_of_block(self.tree.files[path], line)
                place = blocks.outside(self.tree.files[path], number, line.number)
                if place is not None:
                    return path, place, indent
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
        self._remove(lines_of(self.wanted, self.tree))
        rival = self._rival() or rival
        texts = [language.render(self.keyword.name, self.keyword, one, self.tree.daemon) for one in self._occurrences()]
        block = self._new_block(texts[0]) + [f"\t{text}" for text in texts[1:]]
        self._add_before(rival, block)

    def _add_before(self, rival: Setting, block: list[str]) -> None:
        """Add the lines of a block before the Match block that ``rival`` is in, or that includes the file it is in."""
        assert rival.head, "a line of a Match block has a Match line above it"
        path, head = rival.head
        self._touch(rival if rival.file == path else Setting(path, head))
        self._add(path, blocks.before_block(self.tree.files[path], head), block)
