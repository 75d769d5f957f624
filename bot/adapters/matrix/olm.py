"""matrix-nio's Olm machine with three holes closed: crashes, hostile messages, mislabelled senders.

* What one to-device message changes (an Olm session, the account, a room key) is done whole or not at all. A kill in
  its middle would leave the session ahead of the key that it carried, and the key would never come again.
* A malformed message, or one for a one-time key that is used up, raises out of matrix-nio 0.26 and would end the sync,
  again at each start: anybody can send one. Here it is counted, and the session is made anew (unwedged).
* A homeserver could show a message under another person's name: the session has to belong to a device of the sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from nio import BadEvent, Event, ForwardedRoomKeyEvent, MegolmEvent, OlmEvent, ToDeviceEvent, UnknownBadEvent
from nio.crypto import InboundGroupSession, Olm
from nio.exceptions import EncryptionError

log = structlog.get_logger(__name__)

HOSTILE: Final = (ValueError, KeyError, TypeError, AttributeError, EncryptionError)
"""What nio and vodozemac (its errors are ValueErrors) raise on input that is not what it should be."""


def session_in(source: Mapping[str, Any]) -> str | None:
    """The id of the room key that an encrypted event needs; None for other events."""
    content = source.get("content")
    if source.get("type") != "m.room.encrypted" or not isinstance(content, dict):
        return None
    session = content.get("session_id")
    return session if isinstance(session, str) else None


class SturdyOlm(Olm):  # type: ignore[misc]  # nio ships no types
    """The Olm machine of one device."""

    refused = 0
    """To-device messages since the start that could not be understood."""

    def handle_to_device_event(self, event: ToDeviceEvent) -> ToDeviceEvent | None:
        """Handles one to-device message whole or not at all; what cannot be understood is left aside."""
        try:
            with self.store.database.atomic():
                found: ToDeviceEvent | None = super().handle_to_device_event(event)
                if found is not None:
                    self.save_account()  # nio saved it before the one-time key was taken from it
        except HOSTILE as exc:
            self.refused += 1
            log.warning("matrix.to_device_refused", kind=type(exc).__name__)
            if isinstance(event, OlmEvent):
                self._mark_device_for_unwedging(event.sender, event.sender_key)
            return None
        return found

    def decrypt_megolm_event(
        self, event: MegolmEvent, room_id: str | None = None
    ) -> Event | BadEvent | UnknownBadEvent:
        """Decrypts an event of a room; raises EncryptionError when it cannot be, or is not the sender's own."""
        try:
            found: Event | BadEvent | UnknownBadEvent = super().decrypt_megolm_event(event, room_id)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise EncryptionError(f"Malformed event ({type(exc).__name__})") from exc
        if not self._of_sender(event):
            log.warning("matrix.sender_mismatch")
            raise EncryptionError("The event names another sender than the owner of its session")
        return found

    def create_group_session(
        self, sender_key: str, sender_fp_key: str, room_id: str, session_id: str, session_key: str
    ) -> None:
        """Keeps a room key; one that is known is not replaced (a later one could read less, or be a stranger's)."""
        if not any(session_id in held for held in self.inbound_group_store[room_id].values()):
            super().create_group_session(sender_key, sender_fp_key, room_id, session_id, session_key)

    def session_of(self, room: str, session: str) -> InboundGroupSession | None:
        """The room key of that id, whoever gave it to us."""
        return next((held[session] for held in self.inbound_group_store[room].values() if session in held), None)

    def opened(self, room: str, source: Mapping[str, Any]) -> Event | None:
        """An encrypted event of a room, as JSON, decrypted; None when it is something else or its key is not here.

        The fields ``sender_key`` and ``device_id`` may be missing: the specification deprecates them since v1.3, and
        matrix-nio takes such an event for a malformed one. What they say is known from the session.
        """
        content = source.get("content")
        session = self.session_of(room, session_in(source) or "")
        if session is None or not isinstance(content, dict):
            return None
        device = self.device_store.device_from_sender_key(str(source.get("sender")), session.sender_key)
        named = {"sender_key": session.sender_key, "device_id": device.device_id if device else ""}
        event = MegolmEvent.from_dict({**source, "room_id": room, "content": {**content, **named}})
        if not isinstance(event, MegolmEvent):
            return None
        try:
            found = self.decrypt_megolm_event(event, room)
        except EncryptionError:
            return None
        return found if isinstance(found, Event) else None

    def owner_of(self, curve25519: str) -> str | None:
        """The user whose device has that identity key, deleted ones too; None when it is not known."""
        if curve25519 == self.account.identity_keys["curve25519"]:
            return str(self.user_id)
        found: str | None = next((one.user_id for one in self.device_store if one.curve25519 == curve25519), None)
        return found

    def _of_sender(self, event: MegolmEvent) -> bool:
        """Whether the session is one of the sender's devices', or of nobody that we know."""
        key = event.sender_key or ""
        if self.device_store.device_from_sender_key(event.sender, key) is not None:
            return True
        return self.owner_of(key) in (None, event.sender)

    def _should_accept_forward(self, sender: str, sender_key: str, event: ForwardedRoomKeyEvent) -> bool:
        """Takes a room key that we asked for from our own devices, and from the very device that made it."""
        content: Mapping[str, Any] = event.source.get("content", {})
        asked = self.outgoing_key_requests.get(event.session_id)
        by_maker = content.get("sender_key") == sender_key and not content.get("forwarding_curve25519_key_chain")
        if asked is not None and by_maker and self.owner_of(sender_key) == sender:
            return bool(event.algorithm == asked.algorithm and event.room_id == asked.room_id)
        return bool(super()._should_accept_forward(sender, sender_key, event))
