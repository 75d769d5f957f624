"""What a test says: servers, channels and people, who write, react, click and use commands.

These are thin handles on the world's records; everything they do goes through the same deeds as the bot's own requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.standins.discord.interactions import Interaction, InteractionKind
from tests.standins.discord.offers import MESSAGE_MENU, SLASH, Filling, NotOffered, command_for
from tests.standins.discord.permissions import Overwrite, Permission
from tests.standins.discord.state import (
    Channel,
    ChannelKind,
    Emoji,
    Guild,
    Json,
    Member,
    Message,
    Role,
    User,
)
from tests.standins.discord.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.standins.discord.server import Discord


class Server:
    """A guild."""

    def __init__(self, discord: Discord, guild: Guild) -> None:
        self._discord = discord
        self.guild = guild

    @property
    def id(self) -> int:
        """The guild's id."""
        return self.guild.id

    def channel(self, name: str, *, nsfw: bool = False, kind: ChannelKind = ChannelKind.TEXT) -> Place:
        """The channel of that name; made when there is none."""
        for channel in self.guild.channels.values():
            if channel.name == name and not channel.is_thread:
                return Place(self._discord, channel)
        made = Channel(self._discord.world.make_id(), kind, name, self.guild, nsfw=nsfw)
        return Place(self._discord, self._discord.deeds.open_channel(made))

    def forum(self, name: str) -> Place:
        """A forum channel."""
        return self.channel(name, kind=ChannelKind.FORUM)

    def role(self, name: str, permissions: Permission = Permission.NONE) -> Role:
        """The role of that name; made when there is none."""
        for role in self.guild.roles.values():
            if role.name == name:
                return role
        made = Role(self._discord.world.make_id(), name, permissions, len(self.guild.roles))
        self.guild.roles[made.id] = made
        self._discord.deeds.add_role(self.guild, made.id)
        return made

    def member(self, name: str, *, roles: Sequence[Role] = (), permissions: Permission = Permission.NONE) -> Person:
        """The person of that name, in this server; people of one name are one person in all servers."""
        user = self._discord.user(name)
        member = self.guild.members.get(user.id)
        if member is None:
            member = Member(user, joined_at=self._discord.world.now())
            self._discord.deeds.arrive(self.guild, member)
        if permissions:
            roles = [*roles, self.role(f"{name}'s", permissions)]
        member.roles |= {role.id for role in roles}
        if roles:
            self._discord.deeds.change_member(self.guild, member)
        return Person(self._discord, user)

    def bot_may(self, permissions: Permission) -> None:
        """Gives everybody, and so the bot, these permissions instead of the usual ones."""
        self.guild.roles[self.guild.id].permissions = permissions
        self._discord.deeds.change_role(self.guild, self.guild.id)

    def invites_bot(self) -> None:
        """The bot comes (again)."""
        self._discord.deeds.join(self.guild)

    def kicks_bot(self) -> None:
        """The bot is put out."""
        self._discord.deeds.leave(self.guild)

    def goes_away(self) -> None:
        """An outage of this server begins."""
        self._discord.deeds.outage(self.guild, over=False)

    def comes_back(self) -> None:
        """The outage ends."""
        self._discord.deeds.outage(self.guild, over=True)


class Place:
    """A channel, thread, forum or direct conversation."""

    def __init__(self, discord: Discord, channel: Channel) -> None:
        self._discord = discord
        self.channel = channel

    @property
    def id(self) -> int:
        """The channel's id."""
        return self.channel.id

    @property
    def messages(self) -> list[Message]:
        """Everything in it, oldest first."""
        return [self.channel.messages[number] for number in self.channel.order]

    @property
    def answers(self) -> list[Message]:
        """What the bot wrote in it, oldest first."""
        return [message for message in self.messages if message.author is self._discord.world.bot]

    async def expect(
        self, wanted: Callable[[Message], bool] = lambda _: True, *, count: int = 1, patience: float = PATIENCE
    ) -> Message:
        """The bot's ``count``-th message that is wanted, as soon as it is there (an edited one counts as it is now)."""

        def look() -> Message | None:
            found = [message for message in self.answers if wanted(message)]
            return found[count - 1] if len(found) >= count else None

        def what() -> str:
            return f"in #{self.channel.name} the bot wrote {[message.content[:200] for message in self.answers[-5:]]}"

        return await until(self._discord.world, look, what, patience)

    def hides_from_bot(self) -> None:
        """The bot cannot see the channel any more."""
        self._overwrite(self._discord.world.bot.id, Permission.NONE, Permission.VIEW_CHANNEL)

    def lets_bot(self, allow: Permission = Permission.NONE, *, deny: Permission = Permission.NONE) -> None:
        """An overwrite of the channel for the bot."""
        self._overwrite(self._discord.world.bot.id, allow, deny)

    def closed_to(self, person: Person) -> None:
        """A person cannot see the channel any more."""
        self._overwrite(person.id, Permission.NONE, Permission.VIEW_CHANNEL)

    def _overwrite(self, target: int, allow: Permission, deny: Permission) -> None:
        self.channel.overwrites[target] = Overwrite(target, allow, deny, of_member=True)
        self._discord.deeds.change_channel(self.channel)

    def set_nsfw(self, *, nsfw: bool) -> None:
        """Age-restricts the channel, or not any more."""
        self.channel.nsfw = nsfw
        self._discord.deeds.change_channel(self.channel)

    def archives(self) -> None:
        """Puts a thread away."""
        self._discord.deeds.archive(self.channel, archived=True)

    def vanishes(self) -> None:
        """Takes the channel away."""
        self._discord.deeds.close_channel(self.channel)


class Invocation:
    """A use of the bot, and what came back of it."""

    def __init__(self, discord: Discord, interaction: Interaction) -> None:
        self._discord = discord
        self.interaction = interaction

    @property
    def failed(self) -> bool:
        """Whether the client says "The application did not respond": no response within 3 seconds."""
        late = self._discord.world.now() - self.interaction.asked_at > 3.0
        return self.interaction.response is None and late

    @property
    def messages(self) -> list[Message]:
        """What the person sees of it now."""
        return self.interaction.messages

    async def acknowledged(self, patience: float = PATIENCE) -> Interaction:
        """The interaction, as soon as it had its first response (a deferral is one)."""
        one = self.interaction
        return await until(
            self._discord.world, lambda: one if one.response is not None else None, lambda: "no response", patience
        )

    async def expect(self, wanted: Callable[[Message], bool] = lambda _: True, patience: float = PATIENCE) -> Message:
        """The first message of it that is wanted ("thinking" is none)."""

        def look() -> Message | None:
            return next((message for message in self.messages if wanted(message)), None)

        def what() -> str:
            return (
                f"the first response was {self.interaction.response}, seen {[m.content[:200] for m in self.messages]}"
            )

        return await until(self._discord.world, look, what, patience)


class Person:
    """Somebody with an account. A message is named by the record that ``says`` or ``expect`` gave."""

    def __init__(self, discord: Discord, user: User) -> None:
        self._discord = discord
        self.user = user

    @property
    def id(self) -> int:
        """The account's id."""
        return self.user.id

    @property
    def mention(self) -> str:
        """How others name them in a text."""
        return f"<@{self.user.id}>"

    async def says(
        self,
        place: Place,
        text: str,
        *,
        reply_to: Message | None = None,
        ping: bool = True,
        at: datetime | None = None,
        files: Sequence[tuple[str, bytes]] = (),
    ) -> Message:
        """Writes. ``at`` puts it at another time (history that was there before)."""
        moment = None if at is None else at.timestamp()
        deeds = self._discord.deeds
        return deeds.post(
            deeds.draft(place.channel, self.user, text, reply_to=reply_to, ping=ping, at=moment, files=files)
        )

    async def dms(self, text: str) -> Message:
        """Writes to the bot directly."""
        return await self.says(self.talk, text)

    @property
    def talk(self) -> Place:
        """The direct conversation with the bot."""
        return Place(self._discord, self._discord.world.direct(self.user))

    async def edits(self, message: Message, text: str) -> None:
        """Changes a message of theirs."""
        self._discord.deeds.edit(message, text)

    async def deletes(self, *messages: Message) -> None:
        """Takes messages away; several at once are a bulk deletion."""
        self._discord.deeds.delete(list(messages))

    async def reacts(self, message: Message, emoji: str, *, burst: bool = False) -> None:
        """Puts an emoji on a message; ``burst`` makes it a super reaction."""
        self._discord.deeds.react(message, self.user, Emoji.parse(emoji), burst=burst)

    async def unreacts(self, message: Message, emoji: str, *, burst: bool = False) -> None:
        """Takes it back."""
        self._discord.deeds.unreact(message, self.user, Emoji.parse(emoji), burst=burst)

    async def clears(self, message: Message, emoji: str | None = None) -> None:
        """Takes everybody's reactions away, or all with one emoji."""
        self._discord.deeds.clear(message, None if emoji is None else Emoji.parse(emoji))

    async def opens_thread(self, place: Place, name: str, *, on: Message | None = None) -> Place:
        """A thread in a channel, or on a message of it."""
        return Place(self._discord, self._discord.deeds.open_thread(place.channel, self.user, name, on=on))

    async def posts(self, forum: Place, title: str, text: str) -> Place:
        """A post in a forum."""
        deeds = self._discord.deeds
        thread = deeds.open_thread(forum.channel, self.user, title)
        message = deeds.draft(thread, self.user, text)
        message.id = thread.id
        deeds.post(message)
        return Place(self._discord, thread)

    async def slash(self, command: str, place: Place, /, **options: Any) -> Invocation:
        """Uses a slash command such as ``weave ask``. Raises NotOffered where Discord's client would not send it."""
        name, *path = command.split()
        declared = command_for(self._discord.world, self.user, place.channel, name, SLASH)
        filling = Filling(self._discord.world, self._discord.interactions, place.channel)
        data = self._chosen(declared, filling.fill(declared, path, options), filling.resolved)
        return self._use(InteractionKind.COMMAND, place.channel, data)

    async def completes(self, command: str, place: Place, focused: str, text: str, /, **options: Any) -> list[Json]:
        """What is offered while they type ``text`` into the option ``focused``; name and value of each choice."""
        name, *path = command.split()
        declared = command_for(self._discord.world, self.user, place.channel, name, SLASH)
        filling = Filling(self._discord.world, self._discord.interactions, place.channel)
        given = filling.fill(declared, path, {**options, focused: text}, focused=focused)
        used = self._use(InteractionKind.AUTOCOMPLETE, place.channel, self._chosen(declared, given, {}))
        return (await used.acknowledged()).choices

    async def menu(self, name: str, message: Message) -> Invocation:
        """Uses a message's context menu."""
        world = self._discord.world
        declared = command_for(world, self.user, message.channel, name, MESSAGE_MENU)
        data = self._chosen(declared, [], self._discord.interactions.resolve_message(message))
        return self._use(InteractionKind.COMMAND, message.channel, data | {"target_id": str(message.id)})

    async def clicks(self, message: Message, button: str) -> Invocation:
        """Presses the button with that label, emoji or custom id."""
        if message.only_for is not None and message.only_for is not self.user:
            raise NotOffered("this message is somebody else's")
        for part in (part for row in message.components for part in row.get("components", [])):
            names = (part.get("label"), part.get("custom_id"), (part.get("emoji") or {}).get("name"))
            if button in names and not part.get("disabled"):
                data = {"custom_id": part["custom_id"], "component_type": part["type"]}
                return self._use(InteractionKind.COMPONENT, message.channel, data, message=message)
        raise NotOffered(f"there is no button {button}")

    async def submits(self, invocation: Invocation, **values: str) -> Invocation:
        """Fills in the form (modal) that a use of the bot opened; values by custom id."""
        one = invocation.interaction
        if one.modal is None:
            raise NotOffered("no form is open")
        data = {
            "custom_id": one.modal["custom_id"],
            "components": [_filled(c, values) for c in one.modal["components"]],
        }
        return self._use(InteractionKind.MODAL, one.channel, data, message=one.message)

    def _chosen(self, declared: Json, options: list[Json], resolved: Json) -> Json:
        data: Json = {"id": declared["id"], "name": declared["name"], "type": declared["type"]}
        data |= {"options": options} if options else {}
        data |= {"guild_id": declared["guild_id"]} if "guild_id" in declared else {}
        return data | ({"resolved": resolved} if resolved else {})

    def _use(
        self, kind: InteractionKind, channel: Channel, data: Json, *, message: Message | None = None
    ) -> Invocation:
        started = self._discord.interactions.start(kind, self.user, channel, data, message=message)
        return Invocation(self._discord, started)


def _filled(component: Json, values: dict[str, str]) -> Json:
    if "components" in component:
        return component | {"components": [_filled(one, values) for one in component["components"]]}
    if "component" in component:
        return component | {"component": _filled(component["component"], values)}
    custom_id = component.get("custom_id", "")
    return {
        "type": component["type"],
        "custom_id": custom_id,
        "value": values.get(custom_id, component.get("value", "")),
    }
