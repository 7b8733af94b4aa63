"""
What one look at one thing found, and what several of them come to.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence

#: What can be said of a control. Nothing but a look that saw it right is a pass.
PASS, FAIL, ACCEPTED, MANUAL, NOT_APPLICABLE, UNKNOWN = STATUSES = (
    *("pass", "fail", "accepted", "manual", "not applicable", "unknown"),
)


class Finding(typing.NamedTuple):
    """
    What was found about one thing.

    status
        ``pass``, ``fail``, ``manual`` (only a person can tell), ``not applicable`` or ``unknown`` (str).
    evidence
        What was seen, and where (str).
    layer
        Where that is (str): ``kernel``, ``effective``, ``daemon``, ``file``, ``service``, ``package``, ``mount``,
        ``trail`` or ``policy``.
    remedy
        What would do it (str): the line of the pillar, where there is one.
    about
        How the search for drift names it (tuple of str), from which comes since when and by whom.
    """

    status: str
    evidence: str
    layer: str = "file"
    remedy: str = ""
    about: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is as it should be (bool)."""
        return self.status == PASS


def judged(holds: bool | None, evidence: str, layer: str = "file", remedy: str = "", *about: str) -> Finding:
    """Return the :class:`Finding` that it holds (bool), or not, or that it cannot be told (None)."""
    status = UNKNOWN if holds is None else PASS if holds else FAIL
    return Finding(status, evidence, layer, "" if holds else remedy, about)


def combined(found: Sequence[Finding]) -> Finding:
    """
    Return what several findings come to (:class:`Finding`).

    One that fails decides; then one that cannot be told, then one that only a person can tell. What is not applicable
    counts where nothing else does. The evidence is that of all that decide.
    """
    for status in (FAIL, UNKNOWN, MANUAL, PASS, NOT_APPLICABLE):
        deciding = [one for one in found if one.status == status]
        if deciding:
            return Finding(
                status,
                "; ".join(_once(one.evidence for one in deciding)),
                ", ".join(_once(one.layer for one in deciding)),
                "; ".join(_once(one.remedy for one in deciding)),
                tuple(_once(name for one in deciding for name in one.about)),
            )
    return Finding(MANUAL, "nothing here looks at it", "")


def _once(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
