"""What pip made of the package: its programs, and what it depends on."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import distribution, entry_points, requires
from pathlib import Path

import pytest

PROGRAMS = {"rbee-keeper", "queen-rbee", "rbee-hive", "llm-worker-rbee"}

# Servers, and the packages with which one talks to a server. SQLite is a file.
SERVERS = re.compile(
    r"^(asyncpg|psycopg.*|pg8000|pymysql|aiomysql|mysql.*|mariadb|oracledb|cx.oracle|pyodbc|pymssql|"
    r"redis.*|aioredis|valkey.*|pymongo|motor|cassandra.*|elasticsearch.*|neo4j|influxdb.*|"
    r"clickhouse.*|sqlalchemy|etcd.*|aiosqlite.server)$"
)


def depends_on(name: str, found: dict[str, str] | None = None) -> dict[str, str]:
    """Everything that is installed because of `name`, each with what wants it."""
    found = {} if found is None else found
    for requirement in requires(name) or []:
        if "extra ==" in requirement:
            continue
        other = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        if other not in found:
            found[other] = name
            try:
                depends_on(other, found)
            except ModuleNotFoundError:  # for another system or Python
                del found[other]
    return found


@pytest.mark.behaviour("B1.2")
def test_the_installed_package_brings_the_four_programs() -> None:
    scripts = distribution("rbee").entry_points.select(group="console_scripts")
    assert {script.name for script in scripts} == PROGRAMS
    beside = Path(sys.executable).parent
    assert [name for name in PROGRAMS if not os.access(beside / name, os.X_OK)] == []
    known = entry_points(group="console_scripts")
    assert all(callable(script.load()) for script in known if script.name in PROGRAMS)


@pytest.mark.behaviour("B1.4")
def test_nothing_that_it_depends_on_is_a_database_server_or_talks_to_one() -> None:
    found = depends_on("rbee")
    assert {"aiohttp", "aiosqlite", "msgspec"} <= set(found)
    assert {name: why for name, why in found.items() if SERVERS.match(name)} == {}
