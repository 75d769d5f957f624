"""Cross-signing: the bot's identity, and its own device signed by it.

matrix-nio has none of it, and clients that trust only signed devices neither give keys to an unsigned one nor show what
it says. A person's client checks the chain master key -> self-signing key -> device, so all three are published.

The server's master key is compared with ours at each start. Where it differs, somebody else made an identity for the
account (a person logged in as the bot) or our seeds are lost: then nothing is changed, and the error says what to do.
Sources: Matrix specification, "Cross-signing"; MSC3967 (the first upload needs no password); runs against Synapse.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog
from nio import AsyncClient

from bot.adapters.matrix import seeds
from bot.adapters.matrix.encryption import own_keys, upload_keys
from bot.adapters.matrix.homeserver import CLIENT, Challenge, Homeserver
from bot.adapters.matrix.seeds import Identity, Seeds
from bot.adapters.matrix.signing import signed_by
from memory.errors import Refused, Unavailable

log = structlog.get_logger(__name__)

RESET: Final = "`weavebot matrix login --reset-cross-signing`"
PASSWORD: Final = "m.login.password"  # noqa: S105 - the name of a stage, no password
APPROVED_ELSEWHERE: Final = ("m.oauth", "org.matrix.cross_signing_reset")

Approval: TypeAlias = Callable[[str], Awaitable[None]]
"""Shows a person an address to approve something at, and returns when that is done."""


class Done(enum.StrEnum):
    """What was needed at a start."""

    NOTHING = "nothing"
    DEVICE = "device"  # the identity stood, our device was signed
    IDENTITY = "identity"  # the identity was published, and our device signed
    RESET = "reset"  # a new identity took the place of another


@dataclass(frozen=True, slots=True)
class Published:
    """What the server gives to everybody about our account; None where there is nothing."""

    master: Mapping[str, Any] | None
    self_signing: Mapping[str, Any] | None
    user_signing: Mapping[str, Any] | None
    device: Mapping[str, Any] | None  # our own one

    @property
    def master_key(self) -> str | None:
        """The public master key."""
        return _public(self.master)

    def holds(self, identity: Identity) -> bool:
        """Whether all three keys are those of this identity."""
        ours = [getattr(identity, role).public for role in seeds.ROLES]
        return [_public(one) for one in (self.master, self.self_signing, self.user_signing)] == ours

    def device_signed(self, user: str) -> bool:
        """Whether the chain from the published master key to our device holds."""
        if self.master is None or self.self_signing is None or self.device is None:
            return False
        master, signer = _public(self.master), _public(self.self_signing)
        if master is None or signer is None:
            return False
        return signed_by(self.self_signing, user, master) and signed_by(self.device, user, signer)


async def prepare(
    client: AsyncClient,
    store: Path,
    *,
    password: str | None = None,
    reset: bool = False,
    approve: Approval | None = None,
) -> Done:
    """Sees to it that our identity is published and that it signs our device; changes nothing that stands.

    To be called at each start before the first sync. ``store`` is the folder of the seeds. The server may ask for the
    account's password (seldom, and for a reset mostly), or for a person's approval at an address that is given to
    ``approve``.

    Raises Refused, with what to do, when the server has an identity that is not ours, when it knows other keys of our
    device, or when it asks for what was not given; Unavailable when it does not answer.
    """
    user, before = client.user_id, await _with_device(client)
    stored = seeds.read(store, user)
    kept = _promoted(stored, before)
    if reset:
        identity, done = await _replace(client, store, kept, _Proof(password, approve)), Done.RESET
    elif kept.current is None or not before.holds(kept.current):
        identity, done = await _publish(client, store, kept, before, _Proof(password, approve)), Done.IDENTITY
    else:
        identity, done = kept.current, Done.NOTHING
        if stored != Seeds(identity):
            Seeds(identity).save(store, user)
    if await _sign_device(client, identity):
        done = Done.DEVICE if done is Done.NOTHING else done
    log.info("matrix.cross_signing", done=done, device=client.device_id)
    return done


async def _with_device(client: AsyncClient) -> Published:
    """What the server has when our device's own keys are there, after uploading them if need be.

    Clients remember a device's first keys: with others under the same name we would be taken for an impostor.
    """
    there = await published(client)
    if there.device is None:
        await upload_keys(client)
        there = await published(client)
    if there.device is None:
        raise Unavailable("Our device's keys are not on the homeserver; start again, and see its log if that repeats.")
    if there.device.get("keys", {}).get(f"ed25519:{client.device_id}") != own_keys(client).ed25519:
        raise Refused(
            f"The homeserver knows the device {client.device_id} with other keys than the encryption store here; "
            "restore the store from a copy, or make a new device with `weavebot matrix login`."
        )
    return there


async def published(client: AsyncClient) -> Published:
    """What the server has of our account now."""
    user = client.user_id
    body = await Homeserver(client).ask("POST", "keys", "query", body={"device_keys": {user: []}})
    master, self_signing, user_signing = (body.get(f"{role}_keys", {}).get(user) for role in seeds.ROLES)
    device = body.get("device_keys", {}).get(user, {}).get(client.device_id)
    return Published(master, self_signing, user_signing, device)


@dataclass(frozen=True, slots=True)
class _Proof:
    """What shows the server that the account's owner wants an identity published."""

    password: str | None
    approve: Approval | None


async def _publish(client: AsyncClient, store: Path, kept: Seeds, there: Published, proof: _Proof) -> Identity:
    """Publishes our identity where the server has none, or completes it; the seeds are on the disk before."""
    if there.master_key is not None and (kept.current is None or there.master_key != kept.current.master.public):
        raise Refused(_not_ours(client.user_id, known=kept.current is not None))
    identity = kept.current or Identity.fresh()
    Seeds(identity).save(store, client.user_id)
    await _upload(client, identity, proof)
    return identity


async def _replace(client: AsyncClient, store: Path, kept: Seeds, proof: _Proof) -> Identity:
    identity = kept.coming or Identity.fresh()
    Seeds(kept.current, identity).save(store, client.user_id)
    await _upload(client, identity, proof)
    Seeds(identity).save(store, client.user_id)
    return identity


def _promoted(kept: Seeds, there: Published) -> Seeds:
    """A reset that the server took before we could note it is a reset that is done."""
    if kept.coming is not None and there.master_key == kept.coming.master.public:
        return Seeds(kept.coming)
    return kept


async def _upload(client: AsyncClient, identity: Identity, proof: _Proof) -> None:
    homeserver, keys = Homeserver(client), identity.published(client.user_id)
    where = ("keys", "device_signing", "upload")
    try:
        await homeserver.ask("POST", *where, body=keys)
    except Challenge as exc:
        answer = await _proven(client, exc.asked, proof)
    else:
        return
    try:
        await homeserver.ask("POST", *where, body={**keys, "auth": answer})
    except Challenge as exc:
        raise Refused(
            f"The homeserver did not take that proof of who we are ({exc.asked.get('error') or 'it asks again'}); "
            "run `weavebot matrix login` again with the password of the bot's own account."
        ) from exc


async def _proven(client: AsyncClient, asked: Mapping[str, Any], proof: _Proof) -> dict[str, Any]:
    """The answer to the server's question who we are."""
    session, flows = asked.get("session"), [flow.get("stages", []) for flow in asked["flows"]]
    alone = {stages[0] for stages in flows if len(stages) == 1}
    if "m.login.dummy" in alone:
        return {"type": "m.login.dummy", "session": session}
    if PASSWORD in alone and proof.password is not None:
        whose = {"type": "m.id.user", "user": client.user_id}
        return {"type": PASSWORD, "identifier": whose, "password": proof.password, "session": session}
    page = _approval_page(client, asked, alone)
    if page is not None and proof.approve is not None:
        await proof.approve(page)
        return {"session": session}
    if PASSWORD in alone:
        raise Refused("The homeserver asks for the bot's password once; run `weavebot matrix login` and give it.")
    named = ", ".join(sorted({stage for stages in flows for stage in stages}))
    raise Refused(f"The homeserver asks for proof of who we are ({named}); run `weavebot matrix login` in a terminal.")


def _approval_page(client: AsyncClient, asked: Mapping[str, Any], stages: set[str]) -> str | None:
    for stage in APPROVED_ELSEWHERE:
        if stage in stages:
            return str(asked.get("params", {}).get(stage, {}).get("url", "")) or None
    if "m.login.sso" in stages:
        return f"{client.homeserver}{CLIENT}/auth/m.login.sso/fallback/web?session={asked.get('session')}"
    return None


async def _sign_device(client: AsyncClient, identity: Identity) -> bool:
    """Signs our device when it is not signed yet; says whether that was needed."""
    user, device = client.user_id, (await published(client)).device
    if device is None:
        raise Unavailable("Our device's keys left the homeserver; run `weavebot matrix login` to make a new device.")
    if signed_by(device, user, identity.self_signing.public):
        return False
    bare = {name: value for name, value in device.items() if name != "unsigned"}
    signed = {user: {client.device_id: identity.self_signing.sign(bare, user)}}
    said = await Homeserver(client).ask("POST", "keys", "signatures", "upload", body=signed)
    if said.get("failures"):
        raise Unavailable(f"The homeserver did not take the signature of our device ({said['failures']}); see its log.")
    return True


def _public(key: Mapping[str, Any] | None) -> str | None:
    return next(iter(key["keys"].values()), None) if key and key.get("keys") else None


def _not_ours(user: str, *, known: bool) -> str:
    why = (
        "has another cross-signing identity than the one kept here"
        if known
        else "has a cross-signing identity whose seeds are not here"
    )
    return (
        f"The account {user} {why}; restore {seeds.FILE} from a copy, or replace that identity with {RESET} "
        "(people who verified the bot will be warned once)."
    )
