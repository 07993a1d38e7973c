"""A daemon from its flags to its end: lifeline, socket, ready line, signals, orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from rbee import __version__
from rbee.contract.daemons import Failed, Listening, PidFile
from rbee.contract.errors import ConfigInvalid, Internal, RbeeError
from rbee.runtime import api_key, bind, kernel, log, paths, pid_file
from rbee.runtime.certificate import Certificate
from rbee.runtime.connections import Connections, SameTroubleOnce, most_connections
from rbee.runtime.daemon_settings import DaemonSettings
from rbee.runtime.error_text import explain
from rbee.runtime.keyring import id_of
from rbee.runtime.lifecycle import Lifecycle
from rbee.runtime.lifeline import Watch
from rbee.runtime.light_aiohttp import web
from rbee.runtime.log_file import LogFile
from rbee.runtime.parent import die_with_parent
from rbee.runtime.tls_listener import TlsListener
from rbee.runtime.web_pages import without_port

DRAIN: web.AppKey[Callable[[], Awaitable[None]]] = web.AppKey("drain")

_OPEN_STREAMS_S = 2.0


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from daemon to daemon.

    `key` reads the API key of a daemon without a lifeline. `build` makes the application; its
    DRAIN, if there is one, shuts down the daemon's own children. A `certificate` that reads one
    makes it speak HTTPS; `encrypt` says how to encrypt what it says.
    """

    program: str
    settings: DaemonSettings
    key: Callable[[], str]
    build: Callable[[Lifecycle], web.Application]
    log_name: str | None = None
    pid_file: str | None = None
    dies_with_parent: bool = True
    certificate: Callable[[], Certificate | None] = lambda: None
    encrypt: str = "Use it through SSH: `tunnel = true` for its node"


def run(daemon: Daemon) -> int:
    """Run until told to stop; returns the exit code. Errors go to the parent, or to the person."""
    gc.freeze()  # what was imported is never garbage, and need not be looked through
    gc.enable()
    log.set_up(daemon.settings.config.log.level, daemon.settings.config.log.format)
    try:
        return asyncio.run(_run(daemon))
    except RbeeError as error:
        return _tell(daemon, error)
    except Exception:
        log.correlation_id.set(trace_id := secrets.token_hex(8))
        logging.getLogger(daemon.program).exception("the program failed")
        return _tell(daemon, Internal(correlation_id=trace_id))


async def _run(daemon: Daemon) -> int:
    times = daemon.settings.config.times
    watch, hello = None, None
    if daemon.settings.lifeline:
        watch = Watch(times.lifeline_lease_s, times.grace_s)
        hello = watch.hello()
        log.correlation_id.set(hello.correlation_id)
        if daemon.dies_with_parent:
            die_with_parent()
    host = (hello and hello.bind) or daemon.settings.host
    known_key = hello.api_key if hello else daemon.key()
    key = None if daemon.settings.insecure else known_key
    _warn_of_open_door(daemon, host)
    _refuse_named_key(daemon, key)
    _warn_of_short_key(daemon, known_key)
    certificate = daemon.certificate()
    _warn_of_plain_http(daemon, host, certificate)

    lifecycle = Lifecycle(daemon.program, hello, key, known_key)
    auth, announced = daemon.settings.config.auth, hello.announce if hello else None
    lifecycle.reached_at = frozenset({*auth.hosts, *([announced] if announced else [])})
    names = map(without_port, lifecycle.reached_at)
    lifecycle.names = frozenset({socket.gethostname(), host, *names})
    if certificate is not None:
        _answer_to_its_names(lifecycle, certificate)
    lifecycle.origins = frozenset(auth.origins)
    loop = asyncio.get_running_loop()
    _on_signals(loop, lifecycle)
    if watch is not None:
        watch.start(lambda: _hand_over(loop, lifecycle), lifecycle.ending)
    with bind.listening_socket(host, daemon.settings.port) as sock:
        lifecycle.host = (hello and hello.announce) or host
        port = sock.getsockname()[1]
        tls = certificate is not None
        lifecycle.url = bind.url(lifecycle.host, port, tls)
        lifecycle.own_url = bind.url(host, port, tls)
        await _serve(daemon, lifecycle, sock, certificate)
    if lifecycle.failure is not None:
        return _tell(daemon, lifecycle.failure)
    return 0


async def _serve(
    daemon: Daemon, lifecycle: Lifecycle, sock: socket.socket, certificate: Certificate | None
) -> None:
    app = daemon.build(lifecycle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_OPEN_STREAMS_S)
    await runner.setup()
    assert runner.server is not None  # it has just been set up
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(SameTroubleOnce())
    connections = Connections(
        runner.server,
        most_connections(certificate is not None),
        daemon.settings.config.times.reply_stall_s,
    )
    listening: asyncio.Server | TlsListener
    if certificate is None:
        listening = await loop.create_server(connections, sock=sock, backlog=bind.BACKLOG)
    else:
        listening = TlsListener(connections, certificate, sock, lifecycle.url)
    file = paths.pid_file(daemon.pid_file) if daemon.pid_file else None
    try:
        _announce(daemon, lifecycle, file)
        log.correlation_id.set("")  # startup is over: what follows belongs to each request
        await lifecycle.draining.wait()
        listening.close()
        if DRAIN in app:
            await app[DRAIN]()
    finally:
        lifecycle.shut_down()
        lifecycle.over.set()
        listening.close()
        await runner.cleanup()
        if file is not None:
            pid_file.remove(file, os.getpid())


def _announce(daemon: Daemon, lifecycle: Lifecycle, file: Path | None) -> None:
    pid = os.getpid()
    if file is not None:
        since = kernel.started(pid) or 0.0
        pid_file.write(file, PidFile(daemon.program, pid, since, lifecycle.url))
    target = paths.log_file(daemon.program, daemon.log_name) if daemon.settings.lifeline else None
    _say(msgspec.json.encode(Listening(daemon.program, __version__, pid, lifecycle.url)))
    if target is not None:
        rotation = daemon.settings.config.log
        LogFile(target, rotation.max_mb, rotation.files).redirect()
    logging.getLogger(daemon.program).info("listening on %s, pid %d", lifecycle.url, pid)


def _on_signals(loop: asyncio.AbstractEventLoop, lifecycle: Lifecycle) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup ignores SIGHUP on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, _on_signal, number, lifecycle)


def _on_signal(number: signal.Signals, lifecycle: Lifecycle) -> None:
    log.correlation_id.set("")  # no request asked for it, nor the one that started the daemon
    logging.getLogger(lifecycle.program).info("told to end: %s", number.name)
    lifecycle.stop()


def _hand_over(loop: asyncio.AbstractEventLoop, lifecycle: Lifecycle) -> None:
    """Pass from the watch's thread to the loop, which may be blocked, or over already."""
    logging.getLogger(lifecycle.program).info("the owner is gone: its lifeline has ended")
    if not lifecycle.is_held():
        lifecycle.ending.set()
    with contextlib.suppress(RuntimeError):
        # Looked up late: a program may replace the method while it is being built.
        loop.call_soon_threadsafe(lambda: lifecycle.on_owner_lost())


def _answer_to_its_names(lifecycle: Lifecycle, certificate: Certificate) -> None:
    own = lifecycle.names

    def take(names: frozenset[str]) -> None:
        lifecycle.names = own | names

    certificate.tell_names(take)


def _warn_of_open_door(daemon: Daemon, host: str) -> None:
    if daemon.settings.insecure and not bind.is_loopback(host):
        logging.getLogger(daemon.program).warning(
            "INSECURE: anyone who can reach %s can use this program without a key", host
        )


def _refuse_named_key(daemon: Daemon, key: str | None) -> None:
    """Others know it too: whoever made it gave it away, to open another queen."""
    if key is not None and id_of(key):
        raise ConfigInvalid(
            f"{daemon.program} was not started: its key file holds a key with a name, which opens "
            "the queen that made it.",
            source="[auth] api_key_file",
            key="auth.api_key_file",
            hint="To use that queen, set [queen] url to its address. To use this machine's own "
            "key, remove [auth] api_key_file.",
        )


def _warn_of_short_key(daemon: Daemon, key: str) -> None:
    file = api_key.file_of(daemon.settings.config.auth.api_key_file)
    if api_key.is_short(key):
        logging.getLogger(daemon.program).warning(
            "the API key in %s is short enough to be guessed. Make a long one, then restart the "
            "daemons: %s",
            file,
            api_key.lengthen(file),
        )


def _warn_of_plain_http(daemon: Daemon, host: str, certificate: Certificate | None) -> None:
    if certificate is None and not bind.is_loopback(host):
        logging.getLogger(daemon.program).warning(
            "UNENCRYPTED: keys and prompts that are sent to %s can be read on the network. %s",
            host,
            daemon.encrypt,
        )


def _tell(daemon: Daemon, error: RbeeError) -> int:
    """Report `error` to the parent, which reads our first line or the log, or to the person."""
    print(explain(error), file=sys.stderr, flush=True)
    if daemon.settings.lifeline:
        body = msgspec.to_builtins(error.envelope().error)
        _say(msgspec.json.encode(Failed(daemon.program, body)))
    return error.exit_code


def _say(line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
