"""Settings come from the right place, and a bad one names itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Settings, load, parse_weekly, unknown_variables
from memory.errors import BadInput


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"WEAVEBOT_{name.upper()}", raising=False)
    monkeypatch.delenv("WEAVEBOT_CONFIG", raising=False)


class TestWhereASettingComesFrom:
    def test_without_anything_the_defaults_hold(self) -> None:
        chosen = load()

        assert (chosen.data, chosen.prefix, chosen.timezone, chosen.limit) == (Path("data"), "!weave", "UTC", 10)

    def test_the_file_is_under_the_environment_is_under_the_command_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path / "weavebot.toml"
        config.write_text('limit = 3\ntokens = 300\nprefix = "!ask"\n')
        monkeypatch.setenv("WEAVEBOT_LIMIT", "4")
        monkeypatch.setenv("WEAVEBOT_TOKENS", "400")

        chosen = load(config, tokens=500)

        assert (chosen.prefix, chosen.limit, chosen.tokens) == ("!ask", 4, 500)

    def test_the_file_may_be_named_by_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "w.toml").write_text("limit = 7\n")
        monkeypatch.setenv("WEAVEBOT_CONFIG", str(tmp_path / "w.toml"))

        assert load().limit == 7

    def test_a_flag_that_was_not_given_overrides_nothing(self) -> None:
        assert load(data=None).data == Path("data")

    def test_an_empty_variable_counts_as_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_LIMIT", "")

        assert load().limit == 10

    def test_a_secret_may_stand_in_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "url").write_text("sqlite+aiosqlite:///x\n")
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL_FILE", str(tmp_path / "url"))

        url = load().database_url

        assert url is not None
        assert url.get_secret_value() == "sqlite+aiosqlite:///x"

    def test_a_weekly_time_is_brought_to_its_normal_form(self) -> None:
        assert load(digest_at="Fri 9:5").digest_at == "friday 09:05"


class TestABadSettingNamesItself:
    def test_a_variable_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_TIMEZONE", "Mars/Olympus")

        with pytest.raises(BadInput, match=r"WEAVEBOT_TIMEZONE is not right: no such timezone.*Europe/Berlin"):
            load()

    def test_a_flag_is_named(self) -> None:
        with pytest.raises(BadInput, match=r"--limit is not right"):
            load(limit=0)

    def test_a_line_of_the_file_is_named(self, tmp_path: Path) -> None:
        config = tmp_path / "weavebot.toml"
        config.write_text('digest_at = "someday"\n')

        with pytest.raises(BadInput, match=r"digest_at in .*weavebot.toml is not right: write a weekday"):
            load(config)

    def test_an_unknown_name_in_the_file_is_named_with_those_there_are(self, tmp_path: Path) -> None:
        config = tmp_path / "weavebot.toml"
        config.write_text("limits = 3\n")

        with pytest.raises(BadInput, match=r"limits in .* is no setting; the settings are data, .*limit"):
            load(config)

    def test_a_file_that_is_not_toml_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "w.toml").write_text("limit =")

        with pytest.raises(BadInput, match=r"w.toml is not valid TOML"):
            load(tmp_path / "w.toml")

    def test_a_file_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"none.toml cannot be read: No such file"):
            load(tmp_path / "none.toml")

    def test_a_secret_file_that_is_missing_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL_FILE", str(tmp_path / "none"))

        with pytest.raises(BadInput, match=r"WEAVEBOT_DATABASE_URL_FILE names .*none"):
            load()

    def test_a_secret_given_twice_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "url").write_text("a")
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL_FILE", str(tmp_path / "url"))
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL", "b")

        with pytest.raises(BadInput, match="both set"):
            load()

    def test_shards_of_discord_are_not_divided_over_one_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_DISCORD_SHARDS", "0,1")
        assert load().discord_shards == (0, 1)
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL", "postgresql://db/weavebot")
        with pytest.raises(BadInput, match=r"WEAVEBOT_DISCORD_SHARDS and WEAVEBOT_DATABASE_URL cannot both be set"):
            load()

    def test_a_secret_is_in_no_message_and_no_print(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_DATABASE_URL", "postgresql://me:hunter2@db/x")

        assert "hunter2" not in repr(load())

    def test_a_misspelt_variable_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_TIMEZON", "UTC")

        assert unknown_variables() == ["WEAVEBOT_TIMEZON"]


class TestWeeklyTimes:
    @pytest.mark.parametrize("words", ["", "monday", "monday 24:00", "monday 9", "mo 09:00", "monday 09:60", "09:00"])
    def test_what_is_no_weekly_time_is_refused(self, words: str) -> None:
        with pytest.raises(ValueError, match="write a weekday and a time"):
            parse_weekly(words)

    def test_a_weekday_may_be_shortened(self) -> None:
        assert parse_weekly("wed 18:30") == ("wednesday", 18, 30)
