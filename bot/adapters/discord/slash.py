"""The slash commands and menus, made from the one table of commands; what they do is say so to the rest of the bot.

``/weave`` asks. ``/weavebot …`` has a part for each command of the table, ``/weavebot-admin …`` what a server's admins
decide. Two message menus keep a message and explain an answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

import discord
from discord import app_commands

from bot.commands import Argument, Command

Used: TypeAlias = discord.Interaction[Any]
Choice: TypeAlias = app_commands.Choice[str]

OPEN: Final = frozenset({"stats", "digest"})
"""Commands whose reply everybody may see; the others are answered to whoever used them alone."""
LEFT_OUT: Final = frozenset({"ask", "settings", "e2ee"})
"""``ask`` is /weave itself, ``settings`` the admins', ``e2ee`` of platforms with encryption."""
LONGEST: Final = 1_000  # characters of a question or statement
SHOWN: Final = 100  # characters of a choice
MOST: Final = 25  # choices
DESCRIPTION: Final = 100
REMEMBER: Final = "Remember this"
WHY: Final = "Why this answer?"
_IN_SERVER: Final = app_commands.AppCommandContext(guild=True)
_ANYWHERE: Final = app_commands.AppCommandContext(guild=True, dm_channel=True)
_BY_SERVERS: Final = app_commands.AppInstallationType(guild=True)


class Suggestions(Protocol):
    """What is offered while somebody types. Both give the newest first."""

    async def questions(self, team: str, room: str, person: str, typed: str) -> Sequence[str]:
        """Earlier questions of that person in a room that hold what was typed."""

    async def answers(self, team: str, room: str, person: str, typed: str) -> Sequence[tuple[int, str]]:
        """Numbers and questions of that person's earlier answers in a room."""


class Counter(Protocol):
    """Who takes what people use."""

    async def say(self, used: Used, words: str, *, private: bool) -> None:
        """Takes words that follow the prefix, as if they were written: ``stats``, ``ask who?``."""

    async def keep(self, used: Used, message: discord.Message) -> None:
        """Remembers a message."""

    async def explain(self, used: Used, message: discord.Message) -> None:
        """Explains the answer that a message of ours shows."""

    async def administer(self, used: Used, deed: str, **given: Any) -> None:
        """Shows or changes what a server's admins decide."""

    async def offer(self, used: Used, what: str, typed: str) -> list[Choice]:
        """Choices while somebody types."""


def build(tree: app_commands.CommandTree[Any], table: Sequence[Command], settings: Sequence[str], to: Counter) -> None:
    """Puts all commands and menus into the tree."""
    tree.add_command(_ask(to))
    group = app_commands.Group(
        name="weavebot",
        description="What Weavebot can do beside answering",
        allowed_contexts=_ANYWHERE,
        allowed_installs=_BY_SERVERS,
    )
    for command in table:
        if command.name not in LEFT_OUT:
            group.add_command(_from_table(command, to))
    tree.add_command(group)
    tree.add_command(_admin(settings, to))
    for name, taken in ((REMEMBER, to.keep), (WHY, to.explain)):
        tree.add_command(_menu(name, taken))


def _ask(to: Counter) -> app_commands.Command[Any, Any, Any]:
    async def weave(
        used: Used,
        question: app_commands.Range[str, 1, 1000],
        channel: app_commands.AppCommandChannel | None = None,
        private: bool = False,  # noqa: FBT001, FBT002 - Discord names each option
    ) -> None:
        words = f"ask {question}" + (f" in:{channel.id}" if channel is not None else "")
        await to.say(used, words, private=private or channel is not None)

    async def complete(used: Used, typed: str) -> list[Choice]:
        return await to.offer(used, "question", typed)

    app_commands.describe(
        question="What you want to know",
        channel="Ask another channel's memory; only you see the answer",
        private="Only you see the answer",
    )(weave)
    app_commands.autocomplete(question=complete)(weave)
    made: app_commands.Command[Any, Any, Any] = app_commands.Command(
        name="weave",
        description="Ask this channel's memory",
        callback=weave,
        allowed_contexts=_ANYWHERE,
        allowed_installs=_BY_SERVERS,
    )
    return made


def _from_table(command: Command, to: Counter) -> app_commands.Command[Any, Any, Any]:
    """One of the table's commands; its arguments are options, in the same order."""

    async def use(used: Used, **given: str | None) -> None:
        words = [command.name, *(given[one.name] for one in command.arguments if given.get(one.name))]
        await to.say(used, " ".join(str(word) for word in words), private=command.name not in OPEN)

    return _command(command.name, command.words, use, command.arguments, to)


def _command(
    name: str, words: str, use: Callable[..., Awaitable[None]], arguments: Sequence[Argument], to: Counter
) -> app_commands.Command[Any, Any, Any]:
    parameters = [inspect.Parameter("used", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Used)]
    for one in arguments:
        default = None if one.optional else inspect.Parameter.empty
        kind: Any = str | None if one.optional else app_commands.Range[str, 1, LONGEST]
        parameters.append(
            inspect.Parameter(one.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
        )
    use.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what the library reads
    app_commands.describe(**{one.name: _described(one) for one in arguments})(use)
    for one in arguments:
        _with_choices(name, one, use, to)
    made: app_commands.Command[Any, Any, Any] = app_commands.Command(
        name=name,
        description=words[:DESCRIPTION],
        callback=use,  # type: ignore[arg-type] # its signature is made above
    )
    return made


def _described(one: Argument) -> str:
    return (one.shown or one.name).replace("|", ", ")[:DESCRIPTION]


def _with_choices(command: str, one: Argument, use: Callable[..., Awaitable[None]], to: Counter) -> None:
    """Fixed words are choices, anything else is completed while somebody types."""
    words = one.shown.split("|") if one.shown else []
    if words and all(word.islower() for word in words):
        choices = [app_commands.Choice(name=word, value=word) for word in words]
        app_commands.choices(**{one.name: choices})(use)
        return
    if one.rest:
        return

    async def complete(used: Used, typed: str) -> list[Choice]:
        return await to.offer(used, f"{command}.{one.name}", typed)

    app_commands.autocomplete(**{one.name: complete})(use)


def _menu(name: str, taken: Callable[[Used, discord.Message], Awaitable[None]]) -> app_commands.ContextMenu:
    async def use(used: Used, message: discord.Message) -> None:
        await taken(used, message)

    return app_commands.ContextMenu(name=name, callback=use, allowed_contexts=_IN_SERVER, allowed_installs=_BY_SERVERS)


def _admin(settings: Sequence[str], to: Counter) -> app_commands.Group:
    """What only those see who may manage the server, unless its owner decides otherwise."""
    group = app_commands.Group(
        name="weavebot-admin",
        description="What Weavebot does in this server",
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=_IN_SERVER,
        allowed_installs=_BY_SERVERS,
    )
    named = [app_commands.Choice(name=name, value=name) for name in settings][:MOST]

    @group.command(name="settings", description="Shows the settings here, or changes one")
    @app_commands.describe(
        name="Which one", value="Its new value; default takes it back", whole_server="For all channels of this server"
    )
    @app_commands.choices(name=named)
    async def settings_(
        used: Used,
        name: str | None = None,
        value: str | None = None,
        whole_server: bool = False,  # noqa: FBT001, FBT002 - Discord names each option
    ) -> None:
        await to.administer(used, "settings", name=name, value=value, whole_server=whole_server)

    @group.command(name="channels", description="Shows where I listen, or changes it for one channel")
    @app_commands.describe(channel="Which channel", rule="What I do there")
    @app_commands.choices(
        rule=[
            app_commands.Choice(name="listen here and only in channels chosen so", value="only"),
            app_commands.Choice(name="never listen here", value="never"),
            app_commands.Choice(name="nothing special", value="either"),
        ]
    )
    async def channels(
        used: Used, channel: app_commands.AppCommandChannel | None = None, rule: str | None = None
    ) -> None:
        await to.administer(used, "channels", channel=channel.id if channel else None, rule=rule)

    @group.command(name="age-restricted", description="Whether I listen in age-restricted channels")
    @app_commands.choices(switch=[app_commands.Choice(name=word, value=word) for word in ("on", "off")])
    async def age_restricted(used: Used, switch: str) -> None:
        await to.administer(used, "age-restricted", switch=switch)

    @group.command(name="health", description="How my connection is, and what to mend")
    async def health(used: Used) -> None:
        await to.administer(used, "health")

    del settings_, channels, age_restricted, health  # the group has them
    return group


def cut(text: str) -> str:
    """A choice's name, not longer than Discord shows."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
