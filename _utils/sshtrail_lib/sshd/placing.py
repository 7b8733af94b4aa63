"""
Where a new line of an edit goes: which file, which Match block, and where in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sshtrail_lib.sshd import blocks, effective, include, keywords, language, match, sections
from sshtrail_lib.sshd.daemon import Arguments
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.language import Line
from sshtrail_lib.sshd.lines import ShadowedError
from sshtrail_lib.sshd.separate import Separating
from sshtrail_lib.sshd.wish import lines_of

PRINCIPALS = "AuthorizedPrincipalsCommand"


class Placing(Separating):
    """Lines that find their place."""

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

    def _place(self) -> int:
        """Return the line of the file after which a new global line belongs (int)."""
        lines = self.tree.files.get(self.home, [])
        return blocks.place_of(lines, self.keyword.name, self._followed(blocks.before_matches(lines)))

    def _followed(self, head: Sequence[Line]) -> list[int]:
        """Return the numbers of the lines of ``head`` after which a new line has to stand (see :meth:`_lead`)."""
        leads = self.keyword.name == "AuthorizedKeysCommand" and effective.principals_lead(self.tree.daemon.release)
        return [line.number for line in head if line.name == PRINCIPALS] if leads else []

    def _block(self) -> tuple[str, int, str] | None:
        """
        Return ``(path, last line, indent)`` of the first Match block with the criteria of the wish, None without any
        that does not go with another tool's section, or is in a file that is not written to.
        """
        ours = match.canonical(self._criteria())
        for path, line, criteria in effective.blocks(self.tree, self.wanted.connection):
            here = path == self.home or (self.home == self.tree.path and self._is_open(path))
            once = here and include.times(self.tree, path) == 1
            if match.canonical(criteria) == ours and once and not sections.around(self.tree.files[path], line.number):
                number, indent = blocks.end_of_block(self.tree.files[path], line)
                place = blocks.outside(self.tree.files[path], number, line.number)
                if place is not None:
                    return path, place, indent
        return None

    def _drop_in_path(self) -> str:
        lines = [line for line in self.tree.files[self.tree.path] if line.name == "Include" and not line.problem]
        found = next(filter(None, (blocks.drop_in_of(self.tree, line) for line in lines)), None)
        if found is None:
            where = ", ".join(f"{one.file}:{one.line.number}" for one in self.foreign()[:1])
            raise ShadowedError(
                f"{self.wanted.key} is decided by {where}, and {self.tree.path} includes no directory in which "
                f"a drop-in {blocks.DROP_IN} would be read before it"
            )
        return found

    def _counting(self) -> list[Setting]:
        """Return the lines of the wish that count; those of the global part do not where "Match all" has some."""
        ours, deciding = lines_of(self.wanted, self.tree), {setting.where for setting in self._deciding()}
        return [one for one in ours if one.where in deciding] if self.wanted.criteria is None else ours
