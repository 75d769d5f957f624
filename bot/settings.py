"""Settings: the only module that reads the environment.

Each setting comes from, strongest first: the command line, ``WEAVEBOT_NAME`` in the environment, a file named by
``WEAVEBOT_NAME_FILE`` (secrets), the TOML file given with ``--config`` or ``WEAVEBOT_CONFIG``, the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from memory.errors import BadInput

PREFIX = "WEAVEBOT_"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS, MINUTES = 24, 60
MOST_DAYS = 36_500
MEMORY = "memory"
QUEUES = (MEMORY, "redis", "rediss", "amqp", "amqps")
"""Schemes of a work queue's address."""


def check_timezone(name: str) -> str:
    """The name of a timezone that the system knows. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError("no such timezone; use a name such as Europe/Berlin or UTC") from exc
    return name


def check_language(tag: str) -> str:
    """The tag of a language that dates can be written in, such as ``en`` or ``pt-BR``. Raises ValueError."""
    try:
        return str(Locale.parse(tag, sep="-")).replace("_", "-")
    except (ValueError, UnknownLocaleError) as exc:
        raise ValueError("no such language; use a tag such as en, de or pt-BR") from exc


def parse_weekly(words: str) -> tuple[str, int, int]:
    """Weekday, hour and minute of words such as ``monday 09:00``. Raises ValueError."""
    day, _, time = words.strip().lower().partition(" ")
    hour, _, minute = time.strip().partition(":")
    known = next((name for name in WEEKDAYS if len(day) > 2 and name.startswith(day)), None)  # noqa: PLR2004 - "mon"
    if known and hour.isdecimal() and minute.isdecimal() and int(hour) < HOURS and int(minute) < MINUTES:
        return known, int(hour), int(minute)
    raise ValueError("write a weekday and a time, such as monday 09:00")


def check_queue(url: SecretStr) -> SecretStr:
    """The address of a work queue of a kind that we speak to. Raises ValueError, without repeating it."""
    scheme, _, rest = url.get_secret_value().partition(":")
    if scheme not in QUEUES or (scheme == MEMORY) == rest.startswith("//"):
        raise ValueError(
            "write redis://:PASSWORD@HOST:6379/0 or amqp://USER:PASSWORD@HOST:5672/, rediss:// or amqps:// for TLS, or"
            " memory:"
        )
    return url


def check_weekly(words: str) -> str:
    """The words in their normal form. Raises ValueError."""
    day, hour, minute = parse_weekly(words)
    return f"{day} {hour:02d}:{minute:02d}"


def split_ids(value: object) -> object:
    """Ids in one string, apart by commas or spaces, as a tuple of them."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Numbers = Annotated[tuple[NonNegativeInt, ...], NoDecode, BeforeValidator(split_ids)]
Ids = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_ids)]
Timezone = Annotated[str, AfterValidator(check_timezone)]
Language = Annotated[str, AfterValidator(check_language)]
Weekly = Annotated[str, AfterValidator(check_weekly)]


class Settings(BaseSettings):
    """Everything that can be set; frozen. Field names are the names in TOML, and in upper case in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data: Path = Field(Path("data"), description="folder of the embedded data")
    database_url: SecretStr | None = Field(
        None, description="URL of a PostgreSQL database; without it SQLite in the data folder"
    )
    database_timeout: float = Field(30.0, ge=1, le=86_400, description="seconds PostgreSQL may take for a statement")
    model_folder: Path | None = Field(
        None, description="folder of the embedding model; without it the packaged copy, or the hub's local cache"
    )
    reflection: Literal["inline", "worker", "off"] = Field(
        "worker",
        description="when memories are derived: worker beside everything else, inline before a message counts as taken",
    )
    log_level: Literal["debug", "info", "warning", "error"] | None = Field(
        None, description="what is logged; without it info for chat and run, warning for the other commands"
    )
    prefix: str = Field("!weave", min_length=1, max_length=32, pattern=r"^\S+$", description="starts a command")
    timezone: Timezone = Field("UTC", description="timezone of rooms that have none of their own")
    language: Language = Field("en", description="language of dates in rooms that have none of their own")
    digest_at: Weekly = Field("monday 09:00", description="when the weekly digest is posted")
    limit: int = Field(10, ge=1, le=200, description="messages that an answer cites at most")
    solicit: float = Field(
        0.05, ge=0, le=1, description="share of the answers, at random, that ask whether they answered; 0: none"
    )
    admins: Ids = Field((), description="ids of people who are admins in every room, such as @ana:example.org")
    welcome: bool = Field(False, description="say in a room that I come to what I keep there, and how to change it")  # noqa: FBT003 - the default
    retention: int = Field(0, ge=0, le=MOST_DAYS, description="days after which messages are erased; 0 keeps them")
    departed: int = Field(30, ge=0, le=MOST_DAYS, description="days after which a team that put me out is erased")
    matrix_homeserver: str | None = Field(None, description="a Matrix homeserver: its name or its URL")
    matrix_user: str | None = Field(None, description="user name or id of the bot there")
    matrix_password: SecretStr | None = Field(None, description="its password; `run` logs in with it once")
    matrix_token: SecretStr | None = Field(None, description="an access token instead, of a device of its own")
    matrix_allow: Ids = Field(
        (), description="who may invite the bot: ids, or patterns such as *:example.org; nobody named: its own server"
    )
    discord_token: SecretStr | None = Field(None, description="the Discord bot's token; without it there is no Discord")
    discord_memory: Literal["full", "mentions"] = Field(
        "full", description="full needs the message content intent; mentions remembers what is said to me alone"
    )
    discord_shard_count: int | None = Field(
        None, ge=1, description="shards of all processes; without it as many as due"
    )
    discord_shards: Numbers = Field((), description="the shards of this process, such as 0 1 2; without it all")
    discord_api: str | None = Field(None, description="address of a proxy for Discord's API, for those who run one")
    discord_gateway: str | None = Field(None, description="address of a proxy for Discord's gateway")
    neo4j_url: str | None = Field(
        None, description="a Neo4j 5 server, such as bolt://host:7687; without it the graph is held in this process"
    )
    neo4j_user: str = Field("neo4j", description="user name there")
    neo4j_password: SecretStr | None = Field(None, description="its password")
    neo4j_labels: bool = Field(False, description="keep the labels of entities there too, never names of people")  # noqa: FBT003 - the default
    neo4j_connect_timeout: float = Field(3.0, gt=0, le=60, description="seconds in which Neo4j must take a connection")
    neo4j_timeout: float = Field(3.0, gt=0, le=60, description="seconds in which Neo4j must answer a question")
    neo4j_write_timeout: float = Field(30.0, gt=0, le=600, description="seconds in which Neo4j must take a batch")
    qdrant_url: str | None = Field(
        None,
        description="a Qdrant 1.19 server, such as http://host:6333; without it rooms are searched in this process",
    )
    qdrant_key: SecretStr | None = Field(None, description="its API key")
    qdrant_grpc_port: int = Field(6334, ge=0, le=65_535, description="its port for gRPC; 0: HTTP alone")
    qdrant_ca: Path | None = Field(
        None,
        description="file of the authorities that vouch for it, with https; without it those that the client knows",
    )
    qdrant_quantization: Literal["scalar", "binary", "none"] = Field(
        "scalar", description="how Qdrant shortens vectors in its memory: scalar to a quarter, binary to a 32nd"
    )
    qdrant_timeout: float = Field(1.0, gt=0, le=60, description="seconds in which Qdrant must answer a question")
    qdrant_write_timeout: float = Field(30.0, gt=0, le=600, description="seconds in which Qdrant must take a batch")
    queue_url: Annotated[SecretStr, AfterValidator(check_queue)] | None = Field(
        None,
        description="what hands out what is to be indexed and reflected on: redis://, rediss://, amqp://, amqps://, or"
        " memory: in this process, with the database of the folder alone; without it the database hands out",
    )
    queue_ca: Path | None = Field(
        None, description="file of the authorities that vouch for it, with rediss or amqps; without it the system's"
    )
    redis_url: SecretStr | None = Field(
        None, description="a Redis 7 server, such as rediss://:PASSWORD@host:6379/0; without it nothing is shared"
    )
    redis_ca: Path | None = Field(
        None, description="file of the authorities that vouch for it, with rediss; without it the system's"
    )
    redis_connect_timeout: float = Field(3.0, gt=0, le=60, description="seconds in which Redis must take a connection")
    redis_timeout: float = Field(0.1, gt=0, le=60, description="seconds in which Redis must answer a question's look")
    ask_limit: int = Field(20, ge=0, le=100_000, description="questions a person may ask in a minute; 0: any number")
    tokens: int = Field(4096, ge=1, le=1_000_000, description="token budget of an answer's context")


def load(config: Path | None = None, **given: Any) -> Settings:
    """The settings in force; ``given`` are those of the command line (None: not given).

    Raises BadInput naming the setting, where it was read and what would be right.
    """
    flags = {name: value for name, value in given.items() if value is not None}
    file = config or _config_from_environment()
    low = _from_toml(file) if file else {}
    secret = _from_secret_files()
    environment = {name for name in Settings.model_fields if _variable(name) in _environment()}
    values = {**{k: v for k, v in low.items() if k not in environment}, **secret, **flags}
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        raise BadInput(_sentence(exc, flags, secret, environment, file)) from None
    if settings.discord_shards and settings.database_url is not None:
        raise BadInput(
            "WEAVEBOT_DISCORD_SHARDS and WEAVEBOT_DATABASE_URL cannot both be set: processes that share out the shards"
            " of Discord keep a database each, in their data folders (docs/discord.md)"
        )
    return settings


def unknown_variables() -> list[str]:
    """Names in the environment that look like settings and are none (misspelt, or of another version)."""
    known = {_variable(name) for name in Settings.model_fields} | {PREFIX + "CONFIG"}
    known |= {_variable(name) + "_FILE" for name in _secrets()}
    return sorted(name for name in _environment() if _is_ours(name) and name not in known)


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith((PREFIX + "TEST_", PREFIX + "SERVICES_"))


def _environment() -> dict[str, str]:
    """What is set and not empty, by upper-case name: names are taken in any case, as the settings library does."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _secrets() -> list[str]:
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


def _config_from_environment() -> Path | None:
    name = _environment().get(PREFIX + "CONFIG")
    return Path(name) if name else None


def _from_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise BadInput(f"The settings file {file} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise BadInput(f"The settings file {file} is not valid TOML: {exc}.") from exc


def _from_secret_files() -> dict[str, str]:
    """Secrets that stand in files of their own, as container platforms mount them."""
    found: dict[str, str] = {}
    for name in _secrets():
        variable = _variable(name) + "_FILE"
        file = _environment().get(variable)
        if not file:
            continue
        if _variable(name) in _environment():
            raise BadInput(f"{_variable(name)} and {variable} are both set; keep one of them.")
        try:
            found[name] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise BadInput(
                f"{variable} names {file}, which cannot be read; check the path and its permissions."
            ) from exc
    return found


def _sentence(
    exc: ValidationError, flags: Mapping[str, Any], secret: Mapping[str, Any], environment: set[str], file: Path | None
) -> str:
    """One sentence for the first thing that is wrong. Values are not shown: one of them may be a secret."""
    first = exc.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        return f"{name} in {file} is no setting; the settings are {', '.join(Settings.model_fields)}."
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    elif name in secret:
        where = f"{_variable(name)}_FILE"
    elif name in environment:
        where = _variable(name)
    else:
        where = f"{name} in {file}"
    return f"{where} is not right: {said}."
