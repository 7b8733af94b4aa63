"""
The lines of a tree on the way to a wish: which decide, which may be touched, and how one is changed, added or removed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import blocks, effective, keywords, language, match
from sshtrail_lib.sshd.daemon import Arguments
from sshtrail_lib.sshd.effective import Setting
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.wish import SETS, Wish


class ShadowedError(CommandExecutionError):
    """Another line decides, and it may not be touched."""


class TheirsError(ShadowedError):
    """A line would have to be changed in a file that a package brings."""


def left(path: str, data: bytes | None) -> bytes | None:
    """Return what a file is to hold (bytes): ``data``, or None for one of ours at ``path`` (str) that says nothing."""
    ours = posixpath.basename(path) == blocks.DROP_IN
    return None if ours and (data or b"").strip() in (b"", blocks.HEADER.encode()) else data


class Lines:
    """What an edit is made of; every step replaces ``tree`` by the tree after it."""

    def __init__(self, tree: Tree, wanted: Wish, shadowed: str) -> None:
        self.tree, self.wanted, self.shadowed = tree, wanted, shadowed
        self.keyword = wanted.keyword
        #: The file of our own that says everything, None where the main file does: not one that a package brings.
        self.own = self._own() if shadowed == "own" or blocks.is_packages(tree, tree.path) else None
        #: The file that a new line goes to.
        self.home = self.own or tree.path

    def _own(self) -> str | None:
        own = blocks.own_file(self.tree)
        return None if own and self._adds_up() and blocks.times_with(self.tree, own) > 1 else own

    def _adds_up(self) -> bool:
        """Whether one line that is read twice is two: of names on a list the second means nothing."""
        return self.keyword.repeat == keywords.ACCUMULATE and self.keyword.kind not in SETS

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

    def foreign(self) -> list[Setting]:
        """Return the lines outside the main file and our own drop-in that decide now."""
        return [setting for setting in self._deciding() if self._is_foreign(setting.file)]

    def _touch(self, setting: Setting) -> None:
        """Raise where the line that ``setting`` is may not be changed."""
        self._reach(setting.file, f"{self.wanted.key} is decided by {setting.file}:{setting.line.number}")

    def _reach(self, path: str, why: str) -> None:
        """Raise where nothing may be written to the file ``path``, and say ``why`` it would have to be."""
        if self._is_left_alone(path):
            raise ShadowedError(f"{why}, which shadowed: {self.shadowed} leaves alone")
        if blocks.is_packages(self.tree, path):
            none = f"; it includes no directory before all else in which a drop-in {blocks.DROP_IN} would do"
            told = none if path == self.tree.path and self.own is None else ""
            raise TheirsError(f"{why}, which a package owns: {self.tree.disk.real(path)}{told}")

    def _is_left_alone(self, path: str) -> bool:
        return self._is_foreign(path) and self.shadowed in ("drop_in", "fail")

    def _is_open(self, path: str) -> bool:
        """Whether a line may be added to the file ``path``."""
        return not self._is_left_alone(path) and not blocks.is_packages(self.tree, path)

    def _store(self, path: str, raws: list[bytes]) -> None:
        self.tree = self.tree.edited({path: left(path, b"".join(raws))})

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

    def _new_block(self, text: str) -> list[str]:
        return [f"Match {language.render_criteria(self._criteria(), self.tree.daemon)}", f"\t{text}"]

    def _add(self, path: str, number: int, texts: Sequence[str]) -> None:
        """Add lines after line ``number`` of ``path``, with the line ending of its neighbours."""
        self._reach(path, f"{self.wanted.key} needs a line in {path}")
        raws = self._raws(path)
        if path == self.own and path not in self.tree.files:
            texts = [blocks.HEADER, *texts]
        ending = b"\r\n" if raws and raws[max(number - 1, 0)].endswith(b"\r\n") else b"\n"
        if number and not raws[number - 1].endswith(b"\n"):
            raws[number - 1] += ending
        raws[number:number] = [language.encode(text) + ending for text in texts]
        self._store(path, raws)

    def _add_before(self, rival: Setting, block: list[str]) -> None:
        """Add the lines of a block before the Match block that ``rival`` is in, or that includes the file it is in."""
        assert rival.head, "a line of a Match block has a Match line above it"
        path, head = rival.head
        self._touch(rival if rival.file == path else Setting(path, head))
        self._add(path, blocks.before_block(self.tree.files[path], head), block)
