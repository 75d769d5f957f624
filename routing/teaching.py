"""What a team's votes may teach by: by routing metadata alone where a platform forbids learning from messages.

Discord's developer policy forbids to train models on message content without its permission. So what is learned for a
Discord server rests on routes, counts, scores, lengths and times; neither a text, nor an embedding of one, nor a sign
read off a question is a feature there (``features.Column.reads_text``), and questions asked again are not recognised by
their words. The same policy forbids to profile users: no offset of a person is learned there (``policies.people``).
"""

from __future__ import annotations

from typing import Final

from memory.directory import Directory

FORBIDDING: Final = frozenset({"discord"})
"""Platforms whose rules forbid learning from what messages say."""


UNPROFILED: Final = frozenset({"discord"})
"""Platforms whose rules forbid profiles of people."""


class Teaching:
    """Asks the directory which platform a team is of; that never changes."""

    def __init__(
        self,
        directory: Directory,
        forbidding: frozenset[str] = FORBIDDING,
        unprofiled: frozenset[str] = UNPROFILED,
    ) -> None:
        self._directory = directory
        self._forbidding = forbidding
        self._unprofiled = unprofiled
        self._platforms: dict[int, str] = {}

    async def by_text(self, tenant: int) -> bool:
        """Whether what a question and messages say may teach in this team."""
        return await self._platform(tenant) not in self._forbidding

    async def by_person(self, tenant: int) -> bool:
        """Whether what a person likes may be told apart from what the team likes."""
        return await self._platform(tenant) not in self._unprofiled

    async def _platform(self, tenant: int) -> str:
        if tenant not in self._platforms:
            self._platforms = {team.id: team.platform for team in await self._directory.tenants()}
        return self._platforms[tenant]
