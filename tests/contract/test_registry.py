"""What a person may say of a node: nothing that a program could take for something else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.contract.config import RemoteSection
from rbee.contract.errors import InvalidRequest
from rbee.contract.nodes import NodeInfo, Owner
from rbee.contract.registry import AddNode, HiveStatus, NodeSettings
from rbee.contract.validation import decode
from rbee.contract.workers import WorkerRow


def add(**fields: object) -> AddNode:
    return msgspec.convert({"node_name": "w", "ssh_host": "w.home.arpa", **fields}, AddNode)


@pytest.mark.parametrize(
    "fields",
    [
        {"node_name": "W-1.home_2"},
        {"node_name": "a" * 63},
        {"ssh_port": 65535},
        {"ssh_key_path": "~/my keys/it's $(one)"},
        {"install_path": "~/a folder; touch pwned"},
        {"hive_url": "http://10.0.0.2:9200"},
        {"hive_url": "http://[fe80::1]:9200/"},
        {"hive_url": "http://hive.home.arpa"},
        {"accept_host_key": "SHA256:" + "a+/" * 14 + "A"},
        {"accept_host_key": "SHA256:" + "a" * 43 + "="},
    ],
)
def test_what_is_plain_is_taken(fields: dict[str, object]) -> None:
    assert msgspec.to_builtins(add(**fields)).items() >= fields.items()


@pytest.mark.parametrize(
    "fields",
    [
        {"node_name": ""},
        {"node_name": "x; touch pwned"},
        {"node_name": "-x"},
        {"node_name": "a b"},
        {"node_name": "a/b"},
        {"node_name": "a" * 64},
        {"node_name": "workstation\n"},
        {"ssh_host": "-oProxyCommand=x"},
        {"ssh_host": "a b"},
        {"ssh_host": "a\n"},
        {"ssh_user": "a\n"},
        {"ssh_user": "-l"},
        {"ssh_port": 0},
        {"ssh_port": 65536},
        {"ssh_key_path": "-i"},
        {"ssh_key_path": "a\nb"},
        {"ssh_key_path": "a\n"},
        {"install_path": "a\0b"},
        {"install_path": "a\x7fb"},
        {"install_path": "a\n"},
        {"git_branch": "--upload-pack=x"},
        {"git_branch": "main\n"},
        {"git_repo_url": "--upload-pack=x"},
        {"hive_port": 0},
        {"hive_url": "10.0.0.2:9200"},
        {"hive_url": "https://10.0.0.2:9200"},
        {"hive_url": "http://"},
        {"hive_url": "http://:9200"},
        {"hive_url": "http://node:99999"},
        {"hive_url": "http://node:port"},
        {"hive_url": "http://node:0"},
        {"hive_url": "http://[node"},
        {"accept_host_key": "MD5:aa"},
        {"accept_host_key": "SHA256:" + "a" * 42},
        {"accept_host_key": "SHA256:" + "a" * 43 + "\n"},
        {"tunnel": "yes"},
        {"ssh_hots": "w"},
    ],
)
def test_what_could_be_something_else_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        add(**fields)


def test_a_node_has_ssh_or_a_hive() -> None:
    with pytest.raises(msgspec.ValidationError, match="ssh_host: Expected it, or hive_url"):
        msgspec.convert({}, NodeSettings)
    assert msgspec.convert({"hive_url": "http://w:1"}, NodeSettings).ssh_host is None


@pytest.mark.parametrize("path", ["-x", "", "a\n", "a\nb", "a\0"])
def test_the_paths_of_remote_are_paths(path: str) -> None:
    for key in ("binary_path", "git_repo_dir"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({key: path}, RemoteSection)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3cret@git.home.arpa/rbee.git",
        "HTTPS://s3cret@git.home.arpa/rbee.git",
        "http://me:s3cret@git.home.arpa/rbee.git",
        "https://me:a@b@git.home.arpa",
        "http::https://s3cret@git.home.arpa/x",
        "ssh://me:s3cret@git.home.arpa/x",
        "ssh://me%3As3cret@git.home.arpa/x",
        "me:s3cret@git.home.arpa:rbee.git",
        "me:s3cret@git.home.arpa/rbee.git",
    ],
)
def test_a_password_or_token_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    body = msgspec.json.encode({"node_name": "w", "ssh_host": "w", "git_repo_url": url})
    with pytest.raises(InvalidRequest) as caught:
        decode(body, AddNode)
    [error] = caught.value.details["errors"]
    assert error["field"] == "git_repo_url"
    assert "deploy key" in error["message"] and "credential helper" in error["message"]
    assert "://" not in url or "s3cret" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.home.arpa/rbee.git",
        "https://git.home.arpa:8443/a@b/rbee.git",
        "ssh://git@git.home.arpa/rbee.git",
        "ssh://git@git.home.arpa:2222/rbee.git",
        "git@git.home.arpa:me/rbee.git",
        "git.home.arpa:rbee.git",
        "git@git.home.arpa:a:b@c/d",
        "/srv/a:b@c/rbee.git",
        "./rbee",
        "file:///srv/a:b@c/rbee.git",
        "~/rbee.git",
    ],
)
def test_an_address_without_a_secret_is_taken(url: str) -> None:
    assert add(git_repo_url=url).git_repo_url == url


_PART = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,9}", fullmatch=True)


@given(_PART, _PART, st.from_regex(r"[a-zA-Z0-9._:@/-]{0,20}", fullmatch=True))
def test_a_user_of_ssh_is_no_secret(user: str, host: str, path: str) -> None:
    for url in (f"ssh://{user}@{host}/{path}", f"{user}@{host}:{path}"):
        assert add(git_repo_url=url).git_repo_url == url


@given(_PART, _PART, st.sampled_from(["http", "https"]))
def test_a_user_of_http_may_be_a_token(user: str, host: str, scheme: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="git_repo_url: Expected"):
        add(git_repo_url=f"{scheme}://{user}@{host}/x")


@pytest.mark.parametrize("path", ["~", "~me/rbee", "~root"])
def test_a_home_that_is_not_the_own_one_is_no_place_to_install(path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="install_path: Expected ~/FOLDER"):
        add(install_path=path)


@pytest.mark.parametrize("path", ["~/", "~/rbee", "/opt/~", "rbee"])
def test_the_own_home_and_other_folders_are(path: str) -> None:
    assert add(install_path=path).install_path == path


def test_the_status_of_a_hive_is_what_it_says_itself() -> None:
    owner = Owner("queen-rbee", 7, 1.5, "blep")
    info = NodeInfo(["cuda", "cpu"], {"cuda": 2, "cpu": 1}, [], 11, 12, 13, "draining", owner)
    rows = [WorkerRow("worker-1", "http://w:1", "hf:a/b", "cpu", 0, "idle", None, None, 4, 4)]
    assert HiveStatus.of("attic", "http://w:9200", "0.1.0", info, rows, True) == HiveStatus(
        node="attic",
        state="draining",
        url="http://w:9200",
        version="0.1.0",
        ours=True,
        owner=owner,
        backends=["cuda", "cpu"],
        devices={"cuda": 2, "cpu": 1},
        ram_total_bytes=11,
        ram_free_bytes=12,
        workers=rows,
    )


@pytest.mark.parametrize("mac", ["3c:7c:3f:12:ab:9e", "3C-7C-3F-12-AB-9E", "02:00:00:00:00:00"])
def test_these_are_addresses_of_network_cards(mac: str) -> None:
    assert (add(mac=mac).mac, add(mac=mac).wake) == (mac, True)


@pytest.mark.parametrize(
    "mac",
    [
        *("3c:7c:3f:12:ab", "3c:7c:3f:12:ab:9e:00", "3c:7c-3f:12:ab:9e", "3c7c3f12ab9e"),
        *("3c:7c:3f:12:ab:9g", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "3c:7c:3f:12:ab:9e\n", ""),
    ],
)
def test_these_are_not(mac: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="mac"):
        msgspec.convert({"node_name": "w", "ssh_host": "w", "mac": mac}, AddNode)


@pytest.mark.parametrize("address", ["192.168.1.255", "10.0.0.255:7", "wake.home.arpa:40000"])
def test_a_packet_may_be_sent_there(address: str) -> None:
    assert add(wake_address=address).wake_address == address


@pytest.mark.parametrize("address", ["", "a b", "10.0.0.255:", "10.0.0.255:0", "a:99999x", "::1"])
def test_a_packet_may_not_be_sent_there(address: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="wake_address"):
        msgspec.convert({"node_name": "w", "ssh_host": "w", "wake_address": address}, AddNode)
