"""`rbee-keeper auth certificate`: a CA of this machine, and a certificate for its queen."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from rbee.contract.errors import StateNotWritable
from rbee.keeper.certificates import authority, names, trust
from rbee.keeper.certificates.authority import Authority
from rbee.keeper.certificates.names import Names
from rbee.keeper.commands.runner import request_or_exit, run_configured, screen_of
from rbee.keeper.config import config_file
from rbee.keeper.settings import KeeperSettings
from rbee.runtime import bind, files, paths
from rbee.runtime.screen import Screen
from rbee.runtime.tls_client import own_ca


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What `auth certificate --json` prints. `until` is the last day on which the certificate is
    valid; `ca_is_new` says that nothing trusts the CA yet; `left_out` are names of this machine
    that the CA may not sign for; `config` is the file that was changed, if one was."""

    cert: str
    key: str
    names: list[str]
    until: str
    ca: str
    ca_is_new: bool
    ca_fingerprint: str
    left_out: list[str] = []
    config: str | None = None


def certificate(**flags: Any) -> NoReturn:
    """Make the certificate, and the CA if there is none, or a new one is wanted."""
    screen, typed = screen_of(flags), flags.pop("name")
    wanted = request_or_exit(lambda: names.given(typed), flags, screen)
    run_configured(lambda settings: _make(settings, screen, wanted, **flags), screen)


async def _make(
    settings: KeeperSettings, screen: Screen, wanted: Names, days: int, new_ca: bool, use: bool
) -> None:
    folder, queen = paths.state_dir(), settings.config.queen
    ca, ca_key = own_ca(), folder / "ca-key.pem"
    cert, key = folder / "queen.pem", folder / "queen-key.pem"
    both = wanted | names.of_machine(queen.host)
    is_new = new_ca or not (ca.exists() or ca_key.exists())
    signer = authority.create(socket.gethostname(), both) if is_new else authority.load(ca, ca_key)
    if refused := [each for each in wanted.all if not signer.permits(each)]:
        raise authority.not_permitted(ca, refused)
    if is_new:
        _write(ca_key, signer.key_pem, files.PRIVATE_FILE)
        _write(ca, signer.pem, files.OPEN_FILE)
    signed = _permitted(both, signer)
    pem, key_pem, until = signer.sign(signed, days)
    _write(key, key_pem, files.PRIVATE_FILE)
    _write(cert, pem, files.OPEN_FILE)
    is_used = _same(queen.tls_cert, cert) and _same(queen.tls_key, key)
    lines = {"tls_cert": str(cert), "tls_key": str(key)}
    file = config_file.set_section("queen", lines) if use and not is_used else None
    made = Made(
        cert=str(cert),
        key=str(key),
        names=signed.all,
        until=until.date().isoformat(),
        ca=str(ca),
        ca_is_new=is_new,
        ca_fingerprint=signer.fingerprint,
        left_out=[each for each in both.all if each not in signed.all],
        config=None if file is None else str(file),
    )
    url = bind.url(_public_name(signed), queen.port, tls=True)
    screen.listing(made, _text(made, url, is_used, lines))


def _permitted(found: Names, signer: Authority) -> Names:
    return Names(
        [each for each in found.dns if signer.permits(each)],
        [each for each in found.ips if signer.permits(each)],
    )


def _text(made: Made, url: str, is_used: bool, lines: dict[str, str]) -> str:
    said = [
        f"{made.cert} is valid until {made.until} for {', '.join(made.names)}",
        f"Its CA is {made.ca}{', which is new' if made.ca_is_new else ''}; SHA-256 fingerprint "
        f"{made.ca_fingerprint}",
    ]
    if made.left_out:
        more = "rbee-keeper auth certificate --new-ca"
        said.append(f"The CA may not sign for {', '.join(made.left_out)}; another one may: {more}")
    if is_used:
        said.append("A queen that runs reads the new certificate within seconds.")
        if not made.ca_is_new:
            return "\n".join(said)
    elif made.config is not None:
        restart = "rbee-keeper daemon stop, then rbee-keeper daemon start"
        said.append(
            f"{made.config} names it. A queen that runs already must be restarted: {restart}"
        )
    else:
        said.append(
            "The queen uses it when the config file says so (or run this command with --use):"
        )
        said += ["  [queen]", *(f'  {key} = "{value}"' for key, value in lines.items())]
    return "\n".join([*said, "", trust.instructions(Path(made.ca), url)])


def _public_name(names: Names) -> str:
    """The name by which other machines most likely reach this one."""
    local = (each for each in names.dns if each.endswith(".local"))
    return next(local, names.all[0])


def _same(configured: str | None, path: Path) -> bool:
    return configured is not None and Path(configured).expanduser() == path


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write the file, whole or not at all. Raises STATE_NOT_WRITABLE."""
    try:
        files.replace(path, content, mode)
    except OSError as error:
        raise StateNotWritable(path=str(path), reason=error.strerror) from None
