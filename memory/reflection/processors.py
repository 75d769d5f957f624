"""The table of processors. A new one, or a higher version, reads the whole history again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from memory.reflection import episodic, procedural, semantic
from memory.reflection.models import Aspect, Derived, Material, Processor


@dataclass(frozen=True, slots=True)
class Rules:
    """A processor of rules; see `Processor`."""

    name: str
    bit: int
    version: int
    aspects: frozenset[Aspect]
    function: Callable[[Material], Sequence[Derived]]

    def derive(self, material: Material) -> Sequence[Derived]:
        """The memories in a message."""
        return self.function(material)


TABLE: Final[tuple[Processor, ...]] = (
    Rules("episodic", 1, 1, frozenset({Aspect.EVENT}), episodic.derive),
    Rules("semantic", 2, 1, frozenset({Aspect.FACT, Aspect.RELATION, Aspect.PREFERENCE}), semantic.derive),
    Rules("procedural", 4, 1, frozenset({Aspect.HOWTO, Aspect.COMMAND, Aspect.DECISION}), procedural.derive),
)

SUMMARY: Final = 1
"""Version of the summary of sessions."""
