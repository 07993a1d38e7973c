"""What the programs do not import when they start: each of these takes longer than it is worth.

The programs run in an environment of their own: other tests of this process may have loaded
llama.cpp, whose variables would hide that a program loads it.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rbee import __version__
from rbee.contract import endpoints as ep
from rbee.contract.daemons import QueenHealth
from rbee.contract.events import Done, Token
from rbee.runtime import api_key, sse
from tests.proving import knows

NOWHERE = {
    "huggingface_hub": "only a download needs it",
    "httpx": "comes with huggingface_hub",
    "httpx2": "comes with huggingface_hub",
    "asyncssh": "only a node over SSH needs it",
    "cryptography": "comes with asyncssh",
    "prometheus_client": "only who asks for metrics needs it",
    "prompt_toolkit": "only a chat needs it",
    "tomlkit": "only a change of the config file needs it",
    "importlib.metadata": "only an installation and the bundled model need it",
    "multiprocessing": "no program of ours uses it",
    "rich": "progress bars are our own",
    "stringprep": "only a host's name that is not ASCII needs it: rbee.runtime.bind.resolvable",
}
_PSUTIL = "only to find out who holds a port, or to kill what hangs: rbee.runtime.kernel"
NOT_IN_A_DAEMON = NOWHERE | {
    "numpy": "only a model needs it",
    "jinja2": "only a model needs it",
}
_OTHER_COMMANDS = "only its own commands need it: rbee.keeper.cli.sections"
NOT_IN_A_COMMAND = NOT_IN_A_DAEMON | {
    "aiohttp": "a command has a transport of its own",
    "http.client": "a command has a transport of its own",
    "email": "comes with http.client",
    "aiosqlite": "the queen and the hive keep the databases",
    "sqlite3": "the queen and the hive keep the databases",
    "psutil": _PSUTIL,
    "_hashlib": "OpenSSL; a proof needs none of it: rbee.contract.hashing",
    "ctypes": "only a child of a daemon needs it",
    "tempfile": "only an answer that breaks off is saved",
    "difflib": "only a typo needs it",
    "rbee.keeper.cli.models": _OTHER_COMMANDS,
    "rbee.keeper.cli.verbs": _OTHER_COMMANDS,
    "rbee.keeper.cli.worker": _OTHER_COMMANDS,
}
DAEMONS = {
    "rbee.queen": NOT_IN_A_DAEMON
    | {
        "psutil": _PSUTIL,
        "difflib": "only a name that is not known needs it",
        "rbee.queen.install.wheels": "only an installation needs it",
        "rbee.contract.gateway_endpoints": "only other people's programs need it",
        "rbee.queen.gateway.protocols": "only other people's programs need it",
    },
    # At its end it kills its standby worker, with psutil.
    "rbee.hive": NOT_IN_A_DAEMON | {"aiosqlite": "the catalog is opened when it is needed"},
}
_LATER = "only an answer needs it: rbee.worker.late_imports"
_WITH_A_FORM = "only an answer in a form needs it"
MODULES = {
    "rbee.worker.late_imports, rbee.worker.standby; rbee.worker.late_imports.import_now()": {
        "psutil": _PSUTIL,
        "prometheus_client": NOWHERE["prometheus_client"],
        "stringprep": NOWHERE["stringprep"],
    },
    "rbee.worker.app": NOT_IN_A_DAEMON
    | {
        "psutil": _PSUTIL,
        "llama_cpp": "imported while the worker listens already",
        "rbee.worker.model.bindings": "imported while the worker listens already",
        "rbee.gguf.reader": "only the load needs it",
        "rbee.worker.model.chat_template": "only the load needs it",
        "rbee.worker.engine.sequence": _LATER,
        "rbee.worker.engine.slots": _LATER,
        "rbee.worker.requests.prompt": _LATER,
        "rbee.worker.requests.tool_use": _LATER,
        "rbee.worker.requests.answer_form": _LATER,
        "rbee.worker.requests.vectors": "only embeddings need it",
        "rbee.worker.model.tool_formats": _LATER,
        "rbee.worker.model.grammar": _WITH_A_FORM,
        "rbee.worker.model.gbnf": _WITH_A_FORM,
        "rbee.worker.model.call_grammar": _WITH_A_FORM,
    },
    "rbee.hive.local.commands": NOT_IN_A_DAEMON | {"aiohttp": "as in the commands of the keeper"},
}


def environment(**more: str) -> dict[str, str]:
    """What a program finds that a person starts."""
    names = ("HOME", "LANG", "PATH", "PYTHONPATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | more


def imported(importtime: str) -> set[str]:
    """The modules that `python -X importtime` names."""
    return set(re.findall(r"^import time: .*\| *(\S+)$", importtime, re.MULTILINE))


def unwanted(importtime: str, unwanted: dict[str, str]) -> dict[str, str]:
    modules = imported(importtime)
    assert {"rbee", "asyncio"} <= modules
    return {name: why for name, why in unwanted.items() if name in modules}


@pytest.mark.parametrize("package", DAEMONS)
def test_a_daemon_that_listens_has_imported_no_more_than_it_needs(
    package: str, tmp_path: Path
) -> None:
    errors = tmp_path / "stderr"
    command = [sys.executable, "-P", "-X", "importtime", "-m", package, "daemon", "--port", "0"]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, env=environment()
        ) as daemon,
    ):
        assert daemon.stdout is not None
        assert b'"listening"' in daemon.stdout.readline()
        daemon.terminate()
    assert unwanted(errors.read_text(), DAEMONS[package]) == {}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_no_more_than_it_needs(module: str) -> None:
    command = [sys.executable, "-P", "-X", "importtime", "-c", f"import {module}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert unwanted(ran.stderr, MODULES[module]) == {}


async def test_a_question_to_a_queen_that_runs_imports_no_more_than_it_needs() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == ep.QUEEN_HEALTH.path:
            health = QueenHealth("ok", "queen-rbee", __version__, 1, "persistent")
            return web.Response(body=msgspec.json.encode(health))
        done = Done(True, 1, 1.0, 1, 0, 1.0, 1.0, "MAX_TOKENS")
        events = sse.encode(Token("Once", 0)) + sse.encode(done) + sse.LAST
        return web.Response(body=events, content_type=sse.CONTENT_TYPE)

    app = web.Application(middlewares=[knows(lambda: api_key.load(None))])
    app.router.add_route("*", "/{path:.*}", answer)
    api_key.load(None)  # makes one if there is none, which takes more
    async with TestServer(app, host="127.0.0.1") as queen:
        variables = environment(RBEE_QUEEN_URL=str(queen.make_url("/")))
        words = ["infer", "--prompt", "Tell me"]
        command = [sys.executable, "-P", "-X", "importtime", "-m", "rbee.keeper", *words]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, env=variables
        )
        out, errors = await process.communicate()
    assert (process.returncode, out) == (0, b"Once\n"), errors.decode()
    assert unwanted(errors.decode(), NOT_IN_A_COMMAND) == {}


_EVERYTHING = """
import importlib, pkgutil, rbee.keeper
for module in pkgutil.walk_packages(rbee.keeper.__path__, "rbee.keeper."):
    importlib.import_module(module.name)
"""


def test_no_command_of_the_keeper_imports_aiohttp() -> None:
    command = [sys.executable, "-P", "-X", "importtime", "-c", _EVERYTHING]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert "rbee.keeper.doctor.probe_daemons" in imported(ran.stderr)
    assert unwanted(ran.stderr, {"aiohttp": NOT_IN_A_COMMAND["aiohttp"]}) == {}


# Valid until 2120; nobody has its key.
_AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBCzCBvqADAgECAgEBMAUGAytlcDAkMSIwIAYDVQQDDBlBbiBhdXRob3JpdHkg
b2YgdGhpcyB0ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAk
MSIwIAYDVQQDDBlBbiBhdXRob3JpdHkgb2YgdGhpcyB0ZXN0MCowBQYDK2VwAyEA
Z/Mt5nvGvAfZUsVPIgLrpVOG4SQqmMj5Ybq50zjapqqjEzARMA8GA1UdEwEB/wQF
MAMBAf8wBQYDK2VwA0EA8WT8Hd6UrHfDt0QvTbUmTQMHVrsp+q9bCQ2aNDutNeNI
TTsnjKTcqxNsP5R1pMzRCwDboTMsgMnc1zg3lDwhBg==
-----END CERTIFICATE-----
"""
_COUNT = """
import os, ssl
load, sizes = ssl.SSLContext.set_default_verify_paths, []
def counted(context):
    load(context)
    sizes.append(len(context.get_ca_certs()))
ssl.SSLContext.set_default_verify_paths = counted
before = dict(os.environ)
import {module}
assert dict(os.environ) == before
print(sum(sizes))
ssl.create_default_context()
print(sizes[-1])
"""


@pytest.mark.parametrize("module", ["rbee.queen.app", "rbee.hive.app", "rbee.worker.app"])
def test_certificates_are_loaded_only_by_what_speaks_tls(module: str, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text(_AUTHORITY)
    command = [sys.executable, "-P", "-c", _COUNT.format(module=module)]
    variables = environment(SSL_CERT_FILE=str(authority))
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    assert ran.stdout.split() == ["0", "1"]
