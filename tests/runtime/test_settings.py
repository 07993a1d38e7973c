"""The configuration: which place goes before which, and what becomes of a wrong one."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.config import Config, ModelsSection, QueenSection, TimesSection, WorkerSection
from rbee.contract.errors import ConfigInvalid
from rbee.runtime import settings

Write = Callable[[str], Path]


@pytest.fixture
def config(home: Path) -> Write:
    """Write the person's config file."""

    def write(text: str) -> Path:
        file = home / ".config" / "rbee" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


def refused(flags: dict[str, object] | None = None) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        settings.load(flags)
    assert caught.value.exit_code == 2
    return caught.value


def test_without_a_file_the_defaults_count(config: Write) -> None:
    config("")
    loaded = settings.load()
    assert loaded == Config()
    assert (loaded.queen.port, loaded.hive.port, loaded.queen.queue_limit) == (8080, 9200, 64)
    assert (loaded.hive.idle_timeout_s, loaded.hive.health_misses) == (300, 3)
    assert (loaded.worker.slots, loaded.times.connect_s, loaded.times.grace_s) == (4, 10, 5)


def test_a_file_goes_before_the_defaults(config: Write) -> None:
    config("[hive]\nport = 9300\n")
    loaded = settings.load()
    assert (loaded.hive.port, loaded.queen.port) == (9300, 8080)


def test_the_environment_goes_before_the_file(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("[hive]\nport = 9300\nidle_timeout_s = 7\n")
    monkeypatch.setenv("RBEE_HIVE_PORT", "9400")
    loaded = settings.load()
    assert (loaded.hive.port, loaded.hive.idle_timeout_s) == (9400, 7)


def test_a_flag_goes_before_the_environment(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    config("[hive]\nport = 9300\n")
    monkeypatch.setenv("RBEE_HIVE_PORT", "9400")
    assert settings.load({"hive.port": 9500}).hive.port == 9500


def test_a_flag_that_was_not_given_changes_nothing(config: Write) -> None:
    config("[hive]\nport = 9300\n")
    assert settings.load({"hive.port": None}).hive.port == 9300


@pytest.mark.parametrize(
    ("name", "value", "section", "key", "expected"),
    [
        ("RBEE_HIVE_IDLE_TIMEOUT_S", "2.5", "hive", "idle_timeout_s", 2.5),
        ("RBEE_WORKER_MMAP", "false", "worker", "mmap", False),
        ("RBEE_MODELS_DEFAULT", "owner/repo", "models", "default", "owner/repo"),
        ("RBEE_LOG_LEVEL", "debug", "log", "level", "debug"),
        ("RBEE_AUTH_API_KEY_FILE", "/k", "auth", "api_key_file", "/k"),
    ],
)
def test_a_variable_is_read_as_what_its_key_wants(
    name: str, value: str, section: str, key: str, expected: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value)
    assert getattr(getattr(settings.load(), section), key) == expected


def test_a_variable_of_no_section_of_ours_is_somebody_elses(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("")
    monkeypatch.setenv("RBEE_TESTS_PORT", "1")
    monkeypatch.setenv("HIVE_PORT", "1")
    assert settings.load() == Config()


def test_an_unknown_key_names_the_file_and_the_nearest_key(config: Write) -> None:
    file = config("[hive]\nidle_timeout = 5\n")
    error = refused()
    assert error.details["source"] == str(file)
    assert error.details["key"] == "hive.idle_timeout"
    assert "hive.idle_timeout_s" in error.advice


def test_an_unknown_section_names_the_nearest_section(config: Write) -> None:
    config("[hives]\nport = 5\n")
    error = refused()
    assert error.details["key"] == "hives"
    assert "hive?" in error.advice


def test_a_section_that_is_near_to_nothing_is_told_them_all(config: Write) -> None:
    config("[zzzzzz]\n")
    assert all(name in refused().advice for name in Config.__struct_fields__)


def test_an_unknown_variable_names_itself_and_the_nearest_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RBEE_HIVE_PROT", "9")
    error = refused()
    assert error.details["source"] == "RBEE_HIVE_PROT"
    assert "hive.port" in error.advice


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[hive]\nport = "9200"\n', "hive.port"),
        ("[hive]\nport = 65536\n", "hive.port"),
        ("[hive]\nhealth_misses = 0\n", "hive.health_misses"),
        ("[hive]\nhealth_interval_s = 0\n", "hive.health_interval_s"),
        ("[queen]\nhost = 2024-01-01\n", "queen.host"),
        ('[queen]\nhost = ""\n', "queen.host"),
        ('[log]\nlevel = "loud"\n', "log.level"),
        ("queen = 3\n", "queen"),
        ("[worker]\nmmap = 1\n", "worker.mmap"),
    ],
)
def test_a_value_of_the_wrong_kind_names_the_key_and_the_file(
    config: Write, text: str, key: str
) -> None:
    file = config(text)
    error = refused()
    assert (error.details["source"], error.details["key"]) == (str(file), key)
    assert key in error.message


def test_a_variable_of_the_wrong_kind_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RBEE_HIVE_PORT", "many")
    error = refused()
    assert (error.details["source"], error.details["key"]) == ("RBEE_HIVE_PORT", "hive.port")


def test_a_flag_of_the_wrong_kind_names_itself() -> None:
    error = refused({"hive.idle_timeout_s": -1})
    assert error.details["source"] == "--idle-timeout-s"


@pytest.mark.parametrize("text", ["[hive\n", "[hive]\nport = \n", "\x00", "[hive]\n[hive]\n"])
def test_a_file_that_is_no_toml_is_named(config: Write, text: str) -> None:
    file = config(text)
    error = refused()
    assert error.details["source"] == str(file)
    assert "TOML" in error.message


def test_a_file_that_is_no_utf_8_is_named(config: Write) -> None:
    file = config("")
    file.write_bytes(b"[hive]\nhost = '\xff'\n")
    assert refused().details["source"] == str(file)


def test_xdg_config_home_is_honoured(
    config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("[hive]\nport = 1\n")
    (tmp_path / "xdg" / "rbee").mkdir(parents=True)
    (tmp_path / "xdg" / "rbee" / "config.toml").write_text("[hive]\nport = 2\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert settings.load().hive.port == 2


def test_rbee_config_goes_before_the_persons_file(
    config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config("[hive]\nport = 1\n[queen]\nport = 1\n")
    (tmp_path / "own.toml").write_text("[hive]\nport = 3\n")
    monkeypatch.setenv("RBEE_CONFIG", str(tmp_path / "own.toml"))
    loaded = settings.load()
    assert (loaded.hive.port, loaded.queen.port) == (3, 8080)


def test_rbee_config_that_names_no_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RBEE_CONFIG", str(tmp_path / "none.toml"))
    assert refused().details["source"] == "RBEE_CONFIG"


_PRINTED = st.text(st.characters(codec="utf-8"), max_size=12)
_CONFIGS = st.builds(
    Config,
    queen=st.builds(QueenSection, port=st.integers(0, 65535), url=st.none() | _PRINTED),
    worker=st.builds(WorkerSection, context=st.none() | st.integers(64, 999), mmap=st.booleans()),
    models=st.builds(ModelsSection, aliases=st.dictionaries(_PRINTED, _PRINTED, max_size=3)),
    times=st.builds(TimesSection, grace_s=st.floats(0.001, 1e6)),
)


@given(shown=_CONFIGS)
def test_settings_that_were_shown_load_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, shown: Config
) -> None:
    file = tmp_path_factory.mktemp("shown") / "config.toml"
    file.write_bytes(settings.show(shown).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RBEE_CONFIG", str(file))
        assert settings.load() == shown


def test_the_settings_are_shown_section_by_section() -> None:
    shown = tomllib.loads(settings.show(Config()))
    assert set(shown) == set(Config.__struct_fields__)
    assert shown["hive"]["port"] == 9200
    assert "url" not in shown["queen"]
