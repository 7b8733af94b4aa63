"""
A line of another Match block that adds to a list which a wish has exactly: it is to stay for others alone.
"""

from __future__ import annotations

from sshtrail_lib.sshd import apart, include, language, sections, values
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Arguments
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.language import Line
from sshtrail_lib.sshd.lines import Lines


class Separating(Lines):
    """Lines that can be set apart."""

    def _is_theirs(self, setting: Setting) -> bool:
        """Whether the line of ``setting`` stands in another tool's section."""
        return sections.around(self.tree.files[setting.file], setting.line.number) is not None

    def _about_others(self) -> Setting | None:
        """Return the next line of another Match block that says what is not wanted, and can be set apart."""
        found = [one for one in self._deciding() if one.criteria is not None and not self._ours(one)]
        return next((one for one in found if self._unwanted(one) and not self.inseparable(one)), None)

    def _unwanted(self, setting: Setting) -> bool:
        wanted = self._occurrences()
        return not all(any(self._same(one, other) for other in wanted) for one in self._items(setting))

    def inseparable(self, rival: Setting) -> str:
        """Return why the line of ``rival`` (Setting) cannot stay for others alone (str), empty where it can."""
        if include.times(self.tree, rival.file) > 1:
            return f"{rival.file} is included more than once"
        if self._is_theirs(rival):
            return "another tool keeps it in a section of its own"
        try:
            apart.apart(rival.criteria or (), self._criteria(), self.tree.daemon)
        except apart.Inseparable as exc:
            return f"it is for others too, and {exc}"
        return ""

    def _set_apart(self, rival: Setting) -> None:
        """
        Have the lines of the block of ``rival`` say what they say for those alone of whom the wish is not: all of them,
        so that the items stay in their order.
        """
        settings = [one for one in self._deciding() if (one.criteria, one.head) == (rival.criteria, rival.head)]
        texts = [f"\t{language.decode(one.line.raw).strip()}" for one in settings]
        for criteria in apart.apart(rival.criteria or (), self._criteria(), self.tree.daemon):
            path, head = settings[0].head or (rival.file, rival.line)
            before = len(self.tree.files[path])
            self._touch(settings[0])
            self._add_before(settings[0], [f"Match {language.render_criteria(criteria, self.tree.daemon)}", *texts])
            added = len(self.tree.files[path]) - before
            settings = [self._moved(one, path, head, added) for one in settings]
        self._remove(settings)

    def _moved(self, setting: Setting, path: str, head: Line, added: int) -> Setting:
        """Return ``setting`` where it is once ``added`` lines stand before its block."""
        lines = self.tree.files
        number = setting.line.number + (added if setting.file == path else 0)
        return setting._replace(line=lines[setting.file][number - 1], head=(path, lines[path][head.number + added - 1]))

    def _items(self, setting: Setting) -> list[Arguments]:
        if self.keyword.kind in sshd_wish.SETS:
            return [Arguments((word,), word) for word in setting.line.arguments.words]
        return [setting.line.arguments]

    def _same(self, one: Arguments, other: Arguments) -> bool:
        spelled = [values.spell(self.keyword, [each], self.tree.daemon) for each in (one, other)]
        return spelled[0] == spelled[1]

    def _ours(self, setting: Setting) -> bool:
        return sshd_wish.ours([setting], self.wanted)
