"""Routes of interactions: the first response, and the webhook on which the conversation goes on."""

from __future__ import annotations

from typing import Any, Final

from tests.standins.discord.errors import (
    EMPTY_MESSAGE,
    TOO_LARGE,
    UNKNOWN_MESSAGE,
    UNKNOWN_WEBHOOK,
    Refused,
    invalid,
)
from tests.standins.discord.interactions import Interaction, InteractionKind, Interactions, Response
from tests.standins.discord.payloads import is_ephemeral, message_json
from tests.standins.discord.rest import Call, Handler, Payload, Routes
from tests.standins.discord.rest_messages import BOT_FLAGS, LARGEST_FILE, change, check_content, is_empty
from tests.standins.discord.state import Flag, Json, Message

MOST_CHOICES: Final = 25
LONGEST_CHOICE: Final = 100
_FITTING: Final = {
    InteractionKind.COMMAND: {Response.MESSAGE, Response.DEFERRED_MESSAGE, Response.MODAL},
    InteractionKind.AUTOCOMPLETE: {Response.CHOICES},
    InteractionKind.COMPONENT: set(Response) - {Response.PONG, Response.CHOICES},
    InteractionKind.MODAL: set(Response) - {Response.PONG, Response.CHOICES, Response.MODAL},
}


class Conversations:
    """The handlers, with the interactions that they speak about."""

    def __init__(self, interactions: Interactions) -> None:
        self._interactions = interactions

    def routes(self) -> Routes:
        """Paths and handlers."""
        webhook = "/webhooks/{webhook}/{token}"
        table: dict[tuple[str, str], Handler] = {
            ("POST", "/interactions/{interaction}/{token}/callback"): self.respond,
            ("POST", webhook): self.follow_up,
            ("GET", webhook + "/messages/{message}"): self.read,
            ("PATCH", webhook + "/messages/{message}"): self.edit,
            ("DELETE", webhook + "/messages/{message}"): self.delete,
        }
        return table

    async def respond(self, call: Call) -> Payload:
        """The first response to an interaction."""
        one = self._interactions.waiting(call.number("interaction"), call.path["token"])
        body: Json = call.body or {}
        response = _fitting(one, body.get("type"))
        data: Json = body.get("data") or {}
        match response:
            case Response.MESSAGE:
                one.original = self._say(call, one, data)
            case Response.DEFERRED_MESSAGE:
                one.ephemeral = is_ephemeral(data.get("flags"))
                one.original = self._interactions.draft(one, "", ephemeral=one.ephemeral, files=[])
                one.original.flags |= Flag.LOADING
                call.deeds.post(one.original)
            case Response.DEFERRED_UPDATE:
                one.original = one.message
            case Response.UPDATE if one.message is not None:
                one.original = one.message
                change(call, one.message, data)
                call.deeds.tell_update(one.message)
            case Response.CHOICES:
                one.choices = _choices(data)
            case Response.MODAL:
                one.modal = data
        self._interactions.acknowledge(one, response)
        return self._told(call, one, response) if call.query.get("with_response") in ("1", "true") else None

    def _say(self, call: Call, one: Interaction, data: Json) -> Message:
        one.ephemeral = is_ephemeral(data.get("flags"))
        return call.deeds.post(self._written(call, one, data, ephemeral=one.ephemeral))

    def _written(self, call: Call, one: Interaction, data: Json, *, ephemeral: bool) -> Message:
        if is_empty(data, len(call.files)):
            raise Refused(EMPTY_MESSAGE)
        if sum(len(content) for _, content in call.files) > LARGEST_FILE:
            raise Refused(TOO_LARGE)
        check_content(data, files=len(call.files), field="data.content")
        content = str(data.get("content") or "").strip()
        message = self._interactions.draft(one, content, ephemeral=ephemeral, files=call.files)
        message.embeds, message.components = list(data.get("embeds") or []), list(data.get("components") or [])
        message.flags |= Flag(int(data.get("flags") or 0)) & BOT_FLAGS
        return message

    def _told(self, call: Call, one: Interaction, response: Response) -> Json:
        told: Json = {"id": str(one.id), "type": int(one.kind)}
        resource: Json = {"type": int(response)}
        if one.original is not None:
            told |= {
                "response_message_id": str(one.original.id),
                "response_message_loading": one.thinking,
                "response_message_ephemeral": one.original.ephemeral,
            }
            resource["message"] = self._shown(call, one.original)
        return {"interaction": told, "resource": resource}

    async def follow_up(self, call: Call) -> Payload:
        """A further message; after a deferral the first one takes the place of "thinking", and its privacy."""
        one = self._going_on(call)
        data: Json = call.body or {}
        if one.thinking and one.original is not None:
            written = self._written(call, one, data, ephemeral=one.original.ephemeral)
            self._fill(call, one.original, written)
            return self._shown(call, one.original)
        message = self._written(call, one, data, ephemeral=is_ephemeral(data.get("flags")))
        one.followups.append(message)
        call.deeds.post(message)
        return self._shown(call, message)

    def _fill(self, call: Call, original: Message, written: Message) -> None:
        original.content, original.files = written.content, written.files
        original.embeds, original.components = written.embeds, written.components
        original.flags = original.flags & ~Flag.LOADING | written.flags & BOT_FLAGS
        original.mentions, original.pinged = written.mentions, written.pinged
        call.deeds.tell_update(original)

    async def read(self, call: Call) -> Payload:
        """A message of the conversation."""
        return self._shown(call, self._message(call, self._going_on(call)))

    async def edit(self, call: Call) -> Payload:
        """Changes a message of the conversation; "thinking" becomes what it is changed to."""
        one = self._going_on(call)
        message = self._message(call, one)
        thinking = bool(message.flags & Flag.LOADING)
        change(call, message, call.body or {})
        message.flags &= ~Flag.LOADING
        if thinking:
            message.edited_at = None
        call.deeds.tell_update(message)
        return self._shown(call, message)

    async def delete(self, call: Call) -> None:
        """Takes a message of the conversation away."""
        call.deeds.delete([self._message(call, self._going_on(call))])

    def _going_on(self, call: Call) -> Interaction:
        if call.number("webhook") != call.world.app.id:
            raise Refused(UNKNOWN_WEBHOOK)
        return self._interactions.going_on(call.path["token"])

    def _message(self, call: Call, one: Interaction) -> Message:
        wanted = call.path["message"]
        own = [message for message in (one.original, *one.followups) if message is not None and not message.gone]
        if wanted == "@original" and one.original in own:
            return own[0]
        found = next((message for message in own if str(message.id) == wanted), None)
        if found is None:
            raise Refused(UNKNOWN_MESSAGE)
        return found

    def _shown(self, call: Call, message: Message) -> Json:
        return message_json(call.world, message, content=True, base=call.deeds.base)


def _fitting(one: Interaction, number: Any) -> Response:
    try:
        response = Response(number)
    except ValueError:
        raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of {1, 4, 5, 6, 7, 8, 9}.") from None
    if response not in _FITTING[one.kind]:
        raise invalid("type", "INTERACTION_TYPE_INVALID", "Invalid response type for this interaction")
    return response


def _choices(data: Json) -> list[Json]:
    choices: list[Json] = data.get("choices") or []
    if len(choices) > MOST_CHOICES:
        raise invalid("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for number, choice in enumerate(choices):
        for name in ("name", "value"):
            if isinstance(choice.get(name), str) and not 1 <= len(choice[name]) <= LONGEST_CHOICE:
                raise invalid(
                    f"data.choices.{number}.{name}", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."
                )
    return choices
