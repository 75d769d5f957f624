"""What Discord's client would let a person do with the bot's commands: which it shows, and which values it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.standins.discord.interactions import Interactions, option
from tests.standins.discord.payloads import channel_json, member_json, user_json
from tests.standins.discord.permissions import Permission
from tests.standins.discord.state import App, Channel, Json, User, World

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
SUBCOMMANDS: Final = (1, 2)


class NotOffered(Exception):
    """The client does not show this command to this person here, or does not take these options."""


def command_for(world: World, user: User, channel: Channel, name: str, kind: int) -> Json:
    """The registered command of that name, a server's own before the global one. Raises NotOffered."""
    app: App = world.app
    own = app.guild_commands.get(channel.guild.id, {}) if channel.guild else {}
    for command in [*own.values(), *app.commands.values()]:
        if command["name"] == name and command["type"] == kind:
            _check_offer(world, user, channel, command)
            return command
    raise NotOffered(f"no command {name} is registered")


def _check_offer(world: World, user: User, channel: Channel, command: Json) -> None:
    name, contexts = command["name"], command.get("contexts")
    if contexts is not None and (0 if channel.guild else 1) not in contexts:
        raise NotOffered(f"{name} is not offered in such a place")
    if channel.guild is None:
        if command.get("dm_permission") is False:
            raise NotOffered(f"{name} is not offered in direct messages")
        return
    granted = world.permissions(user, channel)
    needed = command.get("default_member_permissions")
    if not granted & Permission.USE_APPLICATION_COMMANDS:
        raise NotOffered("application commands are not allowed here")
    if needed is not None and not granted & Permission.ADMINISTRATOR:
        bits = int(needed)
        if bits == 0 or granted & bits != bits:
            raise NotOffered(f"{name} needs permissions that this person does not have")
    if command.get("nsfw") and not channel.nsfw:
        raise NotOffered(f"{name} is offered in age-restricted channels alone")


class Filling:
    """A command's options filled in with the values that a person chose."""

    def __init__(self, world: World, interactions: Interactions, channel: Channel) -> None:
        self._world = world
        self._interactions = interactions
        self._channel = channel
        self.resolved: Json = {}

    def fill(
        self, command: Json, path: list[str], values: Mapping[str, Any], *, focused: str | None = None
    ) -> list[Json]:
        """The options as they are sent. Raises NotOffered."""
        if path:
            inner = next((o for o in command["options"] if o["name"] == path[0] and o["type"] in SUBCOMMANDS), None)
            if inner is None:
                raise NotOffered(f"{command['name']} has no part {path[0]}")
            inside = self.fill(inner, path[1:], values, focused=focused)
            return [{"type": inner["type"], "name": inner["name"], "options": inside}]
        declared = {one["name"]: one for one in command.get("options") or []}
        if any(one["type"] in SUBCOMMANDS for one in declared.values()):
            raise NotOffered(f"{command['name']} cannot be sent alone; choose one of {', '.join(declared)}")
        if unknown := set(values) - set(declared):
            raise NotOffered(f"{command['name']} has no option {', '.join(sorted(unknown))}")
        missing = [name for name, one in declared.items() if one.get("required") and name not in values]
        if missing and focused is None:
            raise NotOffered(f"{command['name']} needs {', '.join(missing)}")
        return [self._one(declared[name], value, focused=name == focused) for name, value in values.items()]

    def _one(self, declared: Json, value: Any, *, focused: bool) -> Json:
        kind, name = declared["type"], declared["name"]
        if focused:
            return option(kind, name, value) | {"focused": True}
        choices = declared.get("choices") or []
        if choices and value not in [one["value"] for one in choices]:
            raise NotOffered(f"{name} must be one of {[one['value'] for one in choices]}")
        return option(kind, name, self._encoders()[kind](declared, value))

    def _encoders(self) -> dict[int, Callable[[Json, Any], Any]]:
        return {3: _text, 4: _number, 5: _flag, 6: self._user, 7: self._place, 10: _number, 11: self._file}

    def _user(self, _declared: Json, value: Any) -> str:
        user: User = value.user if hasattr(value, "user") else value
        key = str(user.id)
        self.resolved.setdefault("users", {})[key] = user_json(user)
        guild = self._channel.guild
        if guild is not None and user.id in guild.members:
            self.resolved.setdefault("members", {})[key] = member_json(guild.members[user.id], with_user=False)
        return key

    def _place(self, declared: Json, value: Any) -> str:
        channel: Channel = value.channel if hasattr(value, "channel") else value
        kinds = declared.get("channel_types")
        if kinds and channel.kind not in kinds:
            raise NotOffered(f"{declared['name']} does not take such a channel")
        self.resolved.setdefault("channels", {})[str(channel.id)] = channel_json(channel) | {
            "permissions": str(int(self._world.permissions(self._world.bot, channel)))
        }
        return str(channel.id)

    def _file(self, _declared: Json, value: Any) -> str:
        key, resolved = self._interactions.resolve_file(*value)
        self.resolved.setdefault("attachments", {}).update(resolved["attachments"])
        return key


def _text(declared: Json, value: Any) -> str:
    least, most = declared.get("min_length", 0), declared.get("max_length", 6000)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise NotOffered(f"{declared['name']} takes {least} to {most} characters")
    return value


def _number(declared: Json, value: Any) -> float:
    least, most = declared.get("min_value", float("-inf")), declared.get("max_value", float("inf"))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise NotOffered(f"{declared['name']} takes a number from {least} to {most}")
    return value


def _flag(declared: Json, value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotOffered(f"{declared['name']} is true or false")
    return value
