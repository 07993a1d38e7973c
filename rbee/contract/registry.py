"""Messages about the registry of nodes: how a machine is described to the queen, and by it."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from rbee.contract.nodes import Detected, NodeInfo, Owner
from rbee.contract.workers import WorkerRow

LOCAL = "localhost"

# One line without control characters (`$` would let a last newline pass), and nothing that a
# program would take for an option.
_Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*\Z", max_length=4096)]
_Word = Annotated[str, Meta(pattern=r"^[^\x00-\x20\x7f-][^\x00-\x20\x7f]*\Z", max_length=255)]

_WITH_USER = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.]*)://(?P<user>[^/?#]*)@"
# Also `user:password@host/path`, unlike `git@host:path` and a folder.
_WITHOUT_SCHEME = r"[^/:@]+:[^/@]+@[^/@]+[/:]"

_MAC = r"[0-9A-Fa-f]{2}(?P<sign>[:-])(?:[0-9A-Fa-f]{2}(?P=sign)){4}[0-9A-Fa-f]{2}"
_WAKE_ADDRESS = r"[A-Za-z0-9._-]+(?::[1-9][0-9]{0,4})?"

NodeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
NodeStatus = Literal["unknown", "reachable", "unreachable"]


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about a node: the [nodes.NAME] section of the config file, and the registry.

    With `hive_url` alone, the node has a hive that somebody deployed by hand, and SSH is not used.
    """

    ssh_host: Annotated[
        _Word | None,
        Meta(description="Its name or address, or a host from ~/.ssh/config."),
    ] = None
    ssh_port: Annotated[
        PortNumber | None, Meta(description="By default from ~/.ssh/config, else 22.")
    ] = None
    ssh_user: Annotated[
        _Word | None, Meta(description="By default from ~/.ssh/config, else your own user name.")
    ] = None
    ssh_key_path: Annotated[
        _Line | None,
        Meta(
            description="A private key on the queen's machine; by default those of ~/.ssh/config "
            "and the agent."
        ),
    ] = None
    git_repo_url: Annotated[
        _Line | None, Meta(description="The repository from which rbee is installed there.")
    ] = None
    git_branch: Annotated[_Word, Meta(description="Its branch, or a tag or a commit.")] = "main"
    install_path: Annotated[
        _Line | None,
        Meta(description="The folder where rbee is installed there; by default ~/rbee."),
    ] = None
    hive_port: Annotated[PortNumber, Meta(description="The port of its hive.")] = 9200
    hive_url: Annotated[
        _Word | None, Meta(description="The address of a hive that somebody started there by hand.")
    ] = None
    api_key_file: Annotated[
        _Line | None,
        Meta(
            description="A file on the queen's machine with the key of a hive that somebody "
            "started there by hand. With hive_url alone it is required: the queen's own key is "
            "never tried."
        ),
    ] = None
    tunnel: Annotated[
        bool, Meta(description="Reach its hive and its workers through SSH only.")
    ] = False
    mac: Annotated[
        _Word | None,
        Meta(
            description="The MAC address of its network card. If the node does not answer, it is "
            "woken by Wake-on-LAN when it is needed and no other node can serve."
        ),
    ] = None
    wake: Annotated[
        bool, Meta(description="With `mac`: false to wake it by hand only, with `setup wake`.")
    ] = True
    wake_address: Annotated[
        _Word,
        Meta(
            description="Where the packet that wakes it is sent: the broadcast address of its "
            "network, and a port if it is not 9."
        ),
    ] = "255.255.255.255"

    def __post_init__(self) -> None:
        if self.ssh_host is None and self.hive_url is None:
            raise ValueError("ssh_host: Expected it, or hive_url for a hive deployed by hand")
        if self.hive_url is not None and not _is_address(self.hive_url):
            raise ValueError("hive_url: Expected http://HOST:PORT")
        if self.git_repo_url is not None and _has_secret(self.git_repo_url):
            raise ValueError(
                "git_repo_url: Expected an address without a password or token, because others "
                "could read it: use a deploy key (ssh), or git's credential helper on the node"
            )
        if self.mac is not None and not _is_mac(self.mac):
            raise ValueError(
                "mac: Expected the address of a network card, such as 3c:7c:3f:12:ab:9e"
            )
        if not re.fullmatch(_WAKE_ADDRESS, self.wake_address):
            raise ValueError("wake_address: Expected HOST or HOST:PORT, such as 192.168.1.255")
        # `~` is the home directory there; `~somebody` is not supported.
        path = self.install_path
        if path is not None and path.startswith("~") and not path.startswith("~/"):
            raise ValueError("install_path: Expected ~/FOLDER, or a path that begins with /")


def _is_mac(text: str) -> bool:
    """Whether a card may have it: an odd first byte is that of a group of them."""
    return re.fullmatch(_MAC, text) is not None and int(text[:2], 16) % 2 == 0


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # not a port number
        return False


def _has_secret(url: str) -> bool:
    """Over http, a user name alone may already be a token."""
    if found := re.search(_WITH_USER, url):
        user = found["user"].lower()
        return found["scheme"].lower().startswith("http") or ":" in user or "%3a" in user
    return re.match(_WITHOUT_SCHEME, url) is not None


class AddNode(NodeSettings, frozen=True, kw_only=True):
    """POST /v2/registry/beehives/add: the node is tested first, then replaces any of the same name.

    `accept_host_key` is the fingerprint (`SHA256:…`) of a host key that is not yet known.
    """

    node_name: NodeName
    accept_host_key: Annotated[str, Meta(pattern=r"^SHA256:[A-Za-z0-9+/]{43}=?\Z")] | None = None


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry. `last_connected_unix` in seconds; `backends`, best first; `devices`,
    counted by backend. They are None until the node has been asked."""

    node_name: str
    ssh_host: str | None = None
    ssh_port: int | None = None
    ssh_user: str | None = None
    ssh_key_path: str | None = None
    git_repo_url: str | None = None
    git_branch: str = "main"
    install_path: str | None = None
    last_connected_unix: int | None = None
    last_error: str | None = None
    status: NodeStatus = "unknown"
    backends: list[str] | None = None
    devices: dict[str, int] | None = None
    hive_port: int = 9200
    hive_url: str | None = None
    api_key_file: str | None = None
    tunnel: bool = False
    mac: str | None = None
    wake: bool = True
    wake_address: str = "255.255.255.255"


class NodeAdded(msgspec.Struct, frozen=True):
    """`installed` is the version of rbee on the node, or None if it is not installed; `detected` is
    what it found there."""

    success: bool
    message: str
    node_name: str
    installed: str | None = None
    detected: Detected | None = None


class NodeNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that names a node, by its name or its `ssh_host`."""

    node_name: Annotated[str, Meta(min_length=1, max_length=255)]


class InstallNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v2/registry/beehives/install. `wheel`: send this installation over SFTP instead of
    cloning; `backend`: build llama-cpp-python for it."""

    node_name: Annotated[str, Meta(min_length=1, max_length=255)]
    wheel: bool = False
    backend: Literal["cpu", "cuda", "metal", "vulkan"] | None = None


class NodeCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it is right now. `version` is that of its hive, or of the program installed there.
    `clock_ahead_s` is how far its clock is ahead of the queen's; negative if it is behind. `error`
    says what is wrong, with its `code`; `advice` says how to fix it."""

    node: str
    hive: Literal["running", "draining", "stopped", "unreachable"]
    version: str | None = None
    clock_ahead_s: float | None = None
    code: str | None = None
    error: str | None = None
    advice: str | None = None


class NodeChecks(msgspec.Struct, frozen=True):
    """GET /v2/registry/beehives/check: all known nodes, except the queen's own machine."""

    nodes: list[NodeCheck]


class NodeChanged(msgspec.Struct, frozen=True):
    success: bool
    message: str


class NodeRows(msgspec.Struct, frozen=True):
    nodes: list[NodeRow]


class HiveNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v2/hives/start and /v2/hives/stop."""

    node: Annotated[str, Meta(min_length=1, max_length=255)]


class HiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The hive of one node. `ours`: this queen started it. `error` says why it can't be reached."""

    node: str
    state: Literal["running", "draining", "stopped", "unreachable"]
    url: str | None = None
    version: str | None = None
    ours: bool = False
    owner: Owner | None = None
    backends: list[str] = []
    devices: dict[str, int] = {}
    ram_total_bytes: int | None = None
    ram_free_bytes: int | None = None
    workers: list[WorkerRow] = []
    error: str | None = None

    @classmethod
    def of(
        cls, node: str, url: str, version: str, info: NodeInfo, workers: list[WorkerRow], ours: bool
    ) -> HiveStatus:
        """The status of a hive that answers, in its own words."""
        return cls(
            node=node,
            state=info.state,
            url=url,
            version=version,
            ours=ours,
            owner=info.owner,
            backends=info.backends,
            devices=info.devices,
            ram_total_bytes=info.ram_total_bytes,
            ram_free_bytes=info.ram_free_bytes,
            workers=workers,
        )


class HiveStatuses(msgspec.Struct, frozen=True):
    hives: list[HiveStatus]
