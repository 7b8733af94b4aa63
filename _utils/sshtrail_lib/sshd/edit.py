"""
The smallest edit of a tree that makes one wish come true: which line is changed, added or removed, and where.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sshtrail_lib.sshd import blocks, effective, exceptions, include, keywords, language, match, members, sections
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Arguments, BadValue
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.lines import ShadowedError, TheirsError
from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.placing import PRINCIPALS, Placing
from sshtrail_lib.sshd.wish import BadWish, Wish, holds, lines_of


def edited(tree: Tree, wanted: Wish, shadowed: str) -> Tree:
    """
    Return the Tree that ``tree`` becomes when ``wanted`` (Wish) is to be true in it.

    shadowed
        What to do where a line outside the main file decides: ``fix``, ``drop_in``, ``fail`` or ``own`` (str).

    Raises ShadowedError, and BadWish for what cannot be written. Whether the wish is true then, the caller looks.
    """
    try:
        for member in _in_turn(tree, wanted, shadowed):
            if not sshd_wish.holds_for(wanted, tree, member):
                tree = _edited(tree, wanted._replace(connection=member), shadowed)
        return tree
    except BadValue as exc:
        raise BadWish(f"{wanted.keyword.name} {exc}") from exc


def inseparable(tree: Tree, wanted: Wish) -> str:
    """Return why lines of other Match blocks still add to the list that ``wanted`` (Wish) asks for (str), if so."""
    if wanted.criteria is None or not wanted.exact or wanted.keyword.kind not in sshd_wish.SETS:
        return ""
    found = _Edit(tree, wanted, "fix")
    lines = [one for one in found._deciding() if one.criteria is not None and not sshd_wish.ours([one], wanted)]
    return next(filter(None, map(found.inseparable, lines)), "")


def _in_turn(tree: Tree, wanted: Wish, shadowed: str) -> list[Connection]:
    """Return those for whom ``wanted`` is to hold, in the order in which its lines are best made."""
    found = sshd_wish.members(wanted, tree)
    if shadowed != "drop_in":
        return found
    # What goes before another's line for one of them is there for all.
    return sorted(found, key=lambda one: not _Edit(tree, wanted._replace(connection=one), shadowed).foreign())


def _edited(tree: Tree, wanted: Wish, shadowed: str) -> Tree:
    try:
        return _Edit(tree, wanted, shadowed).result()
    except TheirsError as exc:
        # A package's update would bring the line back: ours goes before it.
        for way in (_Edit.result, _Edit.before_includes):
            with contextlib.suppress(ShadowedError):
                return way(_Edit(tree, wanted, "drop_in"))
        raise exc


class _Edit(Placing):
    """The edit that one wish needs."""

    def result(self) -> Tree:
        """Return the Tree in which the wish is true."""
        if self.wanted.occurrences is None:
            self._remove(lines_of(self.wanted, self.tree))
        elif self.keyword.repeat == keywords.ACCUMULATE:
            self._accumulate()
        elif self._rivals():
            self._add_to_rivals()
        elif self.shadowed == "drop_in" and self.foreign():
            self._go_before()
        elif self.home == self.tree.path or not self._at_home():
            self._guard()
            if not self._lead():
                self._decide()
        return self.tree

    def _members(self) -> list[Connection]:
        return sshd_wish.members(self.wanted, self.tree)

    def _at_home(self) -> bool:
        """Have our own file say it, and return whether it is true then; if not, all is as it was."""
        before = self.tree
        others = [_Edit(before, self.wanted._replace(connection=one), "own") for one in self._members()]
        if any(one._rivals() for one in others):
            self.home = before.path
            return False
        target = next((one for one in lines_of(self.wanted, self.tree) if one.file == self.home), None)
        if target:
            self._rewrite(target, self._arguments_for(target))
        else:
            self._insert(self._arguments_for(None))
        self._reach_everybody()
        kept = self._leaves_principals(before) and exceptions.left(before, self.tree, self.wanted)
        if kept and holds(self.wanted, self.tree):
            return True
        self.tree, self.home = before, before.path
        return False

    def _reach_everybody(self) -> None:
        """Have our own file say it too for whom a Match block that everybody meets decides: in Match the first wins."""
        if self.wanted.criteria is not None or self.keyword.repeat not in (keywords.FIRST, keywords.MERGE):
            return
        for one in self._members():
            found = effective.effective(self.tree, one).get(self.keyword.name)
            rival = found.deciding[0] if found and found.deciding else None
            if rival is None or rival.criteria is None or sshd_wish.holds_for(self.wanted, self.tree, one):
                continue
            if rival.file == self.home:
                self._rewrite(rival, self._arguments_for(rival))
                continue
            inner = _Edit(self.tree, self.wanted._replace(criteria=rival.criteria, connection=one), self.shadowed)
            inner.home = self.home
            inner._insert(self._arguments_for(rival))
            self.tree = inner.tree

    def _leaves_principals(self, before: Tree) -> bool:
        """Whether AuthorizedPrincipalsCommand means what it did ``before`` (see :meth:`_lead`)."""
        if self.keyword.name != "AuthorizedKeysCommand":
            return True
        found = (effective.effective(tree, self.wanted.connection)[PRINCIPALS] for tree in (before, self.tree))
        return len({one.value for one in found}) == 1

    def _guard(self) -> None:
        for setting in self.foreign() if self.shadowed == "fail" else ():
            self._touch(setting)

    def _decide(self) -> None:
        """A keyword for which one line decides."""
        deciding = self._deciding()
        ours = lines_of(self.wanted, self.tree)
        if self.wanted.criteria is None:
            target = next((one for one in deciding if one in ours), None)
        else:
            target = ours[-1 if self.keyword.repeat == keywords.LAST else 0] if ours else None
        beside = target is not None and self._beside_section(target)
        if target and not beside:
            self._rewrite(target, self._arguments_for(target))
        elif not target:
            self._insert(self._arguments_for(None))
        if not beside or not holds(self.wanted, self.tree):
            self._drop_rivals(ours, target)
        if self.wanted.criteria is not None and not (sshd_wish.at_least(self.wanted) or holds(self.wanted, self.tree)):
            self._move()

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
        if self.keyword.name != PRINCIPALS or not effective.principals_lead(self.tree.daemon.release):
            return None
        found = effective.settings(self.tree, None if self.wanted.criteria is None else self.wanted.connection)[0]
        named = [one for one in found if one.line.name in (PRINCIPALS, "AuthorizedKeysCommand")]
        return named[0] if named and named[0].line.name != PRINCIPALS else None

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
        if target.criteria is not None:
            # A block that everybody meets: one of ours with the same criteria goes before it.
            inner = _Edit(self.tree, self.wanted._replace(criteria=target.criteria), self.shadowed)
            done, self.tree = inner._block_beside(target, section), inner.tree
            if not exceptions.left(before, self.tree, self.wanted):
                done, self.tree = False, before
            return done
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

    def _rivals(self) -> list[Setting]:
        """Return the lines of other Match blocks that decide a list of which the wish wants this much at least."""
        least = sshd_wish.at_least(self.wanted) and self.wanted.criteria is not None
        return [one for one in self._deciding() if one.criteria is not None and least and not self._ours(one)]

    def _add_to_rivals(self) -> None:
        """
        Have another Match block say what is wanted too, for a block of ours before it would take its own items away;
        where it is about others as well, one before it for those alone whom both are about.
        """
        for rival in self._rivals():
            self._touch(rival)
            arguments = self._arguments_for(rival)
            if members.within(rival.criteria or (), self._criteria(), self.tree.daemon):
                self._rewrite(rival, arguments)
                continue
            criteria = match.both(rival.criteria or (), self._criteria())
            text = language.render(self.keyword.name, self.keyword, arguments, self.tree.daemon)
            self._add_before(rival, [f"Match {language.render_criteria(criteria, self.tree.daemon)}", f"\t{text}"])

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
        if self.keyword.kind == "startups" and self._stay(target):
            # Of a line with one number an earlier one would still give the rate.
            whole = sshd_wish.value_of(self.wanted, self.tree.daemon)
            return Arguments((whole,), whole)
        if self.wanted.exact or self.keyword.kind not in sshd_wish.LISTS_ON_A_LINE:
            return wanted
        there = target.line.arguments.words if target else self._in_force()
        return Arguments(sshd_wish.joined(self.keyword, there, wanted.words), wanted.rest)

    def _stay(self, target: Setting | None) -> bool:
        """Whether lines with the keyword stay beside the one that is made of ``target``."""
        left = [one for one in lines_of(self.wanted, self.tree) if not target or one.where != target.where]
        return bool(left) or (target is not None and self._is_theirs(target))

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
        missing = self._unsaid(self._replace(unwanted, missing))
        for arguments in self._gathered(missing):
            self._insert(arguments)
        if self.wanted.criteria is not None and self.wanted.exact:
            self._take_from_within()

    def _unsaid(self, missing: list[Arguments]) -> list[Arguments]:
        """Return what of ``missing`` nothing says: the lines for all count again where those of a block are gone."""
        if self.keyword.kind not in sshd_wish.SETS:
            return missing
        there = [one for setting in self._counting() for one in self._items(setting)]
        return [one for one in missing if not any(self._same(one, other) for other in there)]

    def _take_from_within(self) -> None:
        """
        Take what is not wanted from other Match blocks: from those that are about nobody but some of the wish's own,
        and from others by blocks for those who are none of these.
        """
        unwanted: list[Setting] = []
        for rival in self._deciding():
            alone = include.times(self.tree, rival.file) == 1 and not self._is_theirs(rival)
            if rival.criteria and alone and members.within(rival.criteria, self._criteria(), self.tree.daemon):
                self._keep(rival, list(self._occurrences()), unwanted)
        self._remove(unwanted)
        for _one in self._deciding() if self.keyword.kind in sshd_wish.SETS else ():
            if other := self._about_others():
                self._set_apart(other)

    def _lost(self, wanted: Sequence[Arguments]) -> list[Arguments]:
        """Return what counts now and would not any more as soon as a line of ours does."""
        if self.keyword.kind in ("listen", "subsystem"):
            return []
        now = self._in_force() if self.wanted.criteria is None else self._for_all()
        there = [Arguments((word,), word) for word in now]
        return [one for one in there if not any(self._same(one, other) for other in wanted)]

    def _for_all(self) -> list[str]:
        """Return the items that count now for who meets no other Match block with any: these do not add to ours."""
        found = (effective.effective(self.tree, one).get(self.keyword.name) for one in self._members())
        lines = [one.deciding for one in found if one and one.deciding]
        global_ones = next((each for each in lines if each[0].criteria is None), ())
        return [word for one in global_ones for word in one.line.arguments.words]

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
        if self._is_theirs(setting) or self._is_several(setting):
            return False
        if self.keyword.kind == "subsystem":
            return setting.line.arguments.words[:1] == new.words[:1]
        return b"#" in setting.line.raw or not others

    def _keep(self, setting: Setting, missing: list[Arguments], unwanted: list[Setting]) -> list[Arguments]:
        """Leave on the line what is wanted, note one without anything, and return what is then still missing."""
        kept, left = [], list(missing)
        if self.wanted.exact and self._is_several(setting):
            unwanted.append(setting)
            return left
        for arguments in self._items(setting):
            same = next((one for one in left if self._same(one, arguments)), None)
            if same is not None:
                left.remove(same)
            if same is not None or not (self.wanted.exact or self._renewed(arguments)):
                kept.append(arguments)
        if not kept:
            unwanted.append(setting)
        elif len(kept) < len(self._items(setting)):
            self._rewrite(setting, Arguments(tuple(word for one in kept for word in one.words), kept[0].rest))
        return left

    def _is_several(self, setting: Setting) -> bool:
        """Whether the line of ``setting`` is several items of the same, for its file is included more than once."""
        return self._adds_up() and include.times(self.tree, setting.file) > 1

    def _renewed(self, arguments: Arguments) -> bool:
        """Whether ``arguments`` are another command for a subsystem that is wanted."""
        wanted = [one.words[:1] for one in self._occurrences()]
        return self.keyword.kind == "subsystem" and arguments.words[:1] in wanted

    def _gathered(self, missing: list[Arguments]) -> list[Arguments]:
        if missing and self.keyword.kind in ("users", "words", "accept"):
            return [Arguments(tuple(word for one in missing for word in one.words))]
        return missing

    def _go_before(self) -> None:
        """Put the wish into our own drop-in, which sshd reads before the line that decides now."""
        self.home = self._drop_in_path()
        before = self.tree
        self._insert(self._arguments_for(None))
        self._reach_everybody()
        if not (holds(self.wanted, self.tree) and exceptions.left(before, self.tree, self.wanted)):
            self.tree = before
            first = (self.foreign() or self._deciding())[:1]
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

    def _rival(self) -> Setting | None:
        """Return the line of another Match block that decides for the connection of the wish, or None."""
        deciding = [one for one in self._deciding() if one.criteria is not None]
        return next((one for one in deciding if not sshd_wish.ours([one], self.wanted)), None)

    def _move(self) -> None:
        """Another Match block decides for the same connection: put a block of our own where it comes first."""
        rival = self._rival()
        if rival is None:
            return
        self._remove(lines_of(self.wanted, self.tree))
        rival = self._rival() or rival
        texts = [language.render(self.keyword.name, self.keyword, one, self.tree.daemon) for one in self._occurrences()]
        block = self._new_block(texts[0]) + [f"\t{text}" for text in texts[1:]]
        if self.keyword.repeat == keywords.LAST:
            self._add(self.tree.path, len(self.tree.files[self.tree.path]), block)
        else:
            self._add_before(rival, block)
