"""What goes wrong on purpose: failing routes, lost replies, slow replies, a network that is away."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field


@dataclass(slots=True)
class Fault:
    """A rule for requests whose ``METHOD /path`` matches a pattern (``*`` stands for anything).

    ``status`` None lets the request through. ``lost`` lets it take effect, then breaks the connection instead of
    answering.
    """

    pattern: str
    times: int
    status: int | None = None
    retry_after: float | None = None
    via: bool = True
    code: int = 0
    lost: bool = False
    delay: float = 0.0


@dataclass(slots=True)
class Faults:
    """The rules in force, oldest first; a rule that was used up is gone."""

    rules: list[Fault] = field(default_factory=list)
    away: bool = False

    def add(self, fault: Fault) -> None:
        """Puts a rule in force."""
        self.rules.append(fault)

    def take(self, request: str) -> Fault | None:
        """The first rule that applies to a request such as ``POST /channels/5/messages``, used once."""
        for fault in self.rules:
            if fnmatch.fnmatchcase(request, fault.pattern):
                fault.times -= 1
                if fault.times <= 0:
                    self.rules.remove(fault)
                return fault
        return None
