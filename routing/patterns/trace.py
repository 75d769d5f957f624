"""What a pattern did in one room, step by step: names of steps, counts and milliseconds; no word, nobody's name.

A trace is kept with the decision and told by ``!weave why``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


class Ended(enum.StrEnum):
    """Why a pattern went no further."""

    DONE = "done"
    ENOUGH = "enough"
    SETTLED = "settled"
    NOTHING_NEW = "nothing new"
    COVERED = "covered"
    NO_BETTER = "no better"
    OUT_OF_CALLS = "out of calls"
    OUT_OF_TIME = "out of time"


WORDS: Final[Mapping[Ended, str]] = {
    Ended.DONE: "that was all of it",
    Ended.ENOUGH: "there were enough candidates",
    Ended.SETTLED: "the best ten were the same as before",
    Ended.NOTHING_NEW: "the evidence had nothing to add",
    Ended.COVERED: "the best evidence covers the question",
    Ended.NO_BETTER: "asking again brought nothing better",
    Ended.OUT_OF_CALLS: "it had asked as often as it may",
    Ended.OUT_OF_TIME: "its time was up",
}
"""Each in words, after "I stopped because"."""


class Act(enum.StrEnum):
    """A step that is not the asking of a source."""

    REFINE = "refine"
    CHECK = "check"
    SESSIONS = "sessions"
    SAMPLE = "sample"
    CHOOSE = "choose"


_ACTS: Final[Mapping[str, str]] = {
    Act.REFINE: "added {found} things from the evidence to the question",
    Act.CHECK: "missed {found} things in the best evidence",
    Act.SESSIONS: "chose sessions with {found} messages",
    Act.SAMPLE: "drew {found} different mixes of sources",
    Act.CHOOSE: "took {found} of the sources further",
}
_LEFT: Final = -1


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a source that was asked, or an `Act`.

    ``found`` counts what came of it: candidates of a source (-1: no answer), and of an act what its words say.
    """

    act: str
    round: int
    found: int
    ms: float


@dataclass(frozen=True, slots=True)
class Trace:
    """What a pattern did in one room, and why it stopped."""

    steps: tuple[Step, ...] = ()
    ended: Ended = Ended.DONE
    ms: float = 0.0

    @property
    def calls(self) -> int:
        """How often a source was asked."""
        return sum(step.act not in _ACTS for step in self.steps)

    @property
    def whole(self) -> bool:
        """Whether every source that was asked has answered, and time was not what ended it."""
        return self.ended is not Ended.OUT_OF_TIME and all(step.found != _LEFT for step in self.steps)

    def compact(self) -> dict[str, Any]:
        """As it is kept."""
        steps = [[step.act, step.round, step.found, round(step.ms, 1)] for step in self.steps]
        return {"steps": steps, "ended": self.ended.value, "ms": round(self.ms, 1)}

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Trace:
        """From what `compact` gave."""
        return cls(tuple(Step(*step) for step in kept["steps"]), Ended(kept["ended"]), kept["ms"])


def in_words(pattern: str, traces: Sequence[Trace]) -> list[str]:
    """A sentence for each room: what was asked, how much came, how long it took, and why it stopped."""
    return [_sentence(pattern, trace) for trace in traces if trace.steps]


def _sentence(pattern: str, trace: Trace) -> str:
    rounds: dict[int, list[str]] = {}
    for step in trace.steps:
        rounds.setdefault(step.round, []).append(_told(step))
    steps = "; then ".join(", ".join(told) for told in rounds.values())
    spent = f"{trace.calls} {'call' if trace.calls == 1 else 'calls'}, {trace.ms:.0f} ms"
    return f"The pattern {pattern}: {steps}. I stopped because {WORDS[trace.ended]} ({spent})."


def _told(step: Step) -> str:
    if step.act in _ACTS:
        return _ACTS[step.act].format(found=step.found)
    if step.found == _LEFT:
        return f"{step.act} did not answer ({step.ms:.0f} ms)"
    return f"{step.act} gave {step.found} ({step.ms:.0f} ms)"
