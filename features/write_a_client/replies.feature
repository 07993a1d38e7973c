@beyond
Feature: What the daemons say of themselves is so

  Scenario: Queen, hive and worker, each asked everything that it can be asked
    Given the setting hive.health_interval_s is 1
    And the setting hive.standby_workers is 0
    And a person placed the small Q8_0 model at lab/small/small-Q8_0.gguf in the models folder
    And a persistent queen, with a worker that has answered once
    When the hive has had an answer to a health check of its worker
    Then the queen answers GET /health with
      """
      {"status": "ok", "program": "queen-rbee", "version": "<version>", "pid": <queen pid>,
       "lifetime": "persistent"}
      """
    And the queen answers GET /v2/workers/list with
      """
      {"workers": [{"worker_id": "<worker id>", "node": "localhost", "state": "idle",
        "model_ref": "bundled:smollm2-135m-instruct", "url": "http://<hive address>:8001",
        "backend": "cpu", "device": 0, "slots_total": 4, "slots_available": 4, "context": 8192}]}
      """
    And the queen answers GET /v2/workers/health with
      """
      {"workers": [{"worker_id": "<worker id>", "node": "localhost", "state": "idle",
        "model_ref": "bundled:smollm2-135m-instruct", "status": "healthy",
        "memory_bytes": "≈ <worker memory> ± 30000000", "last_health": "≈ <now> ± 5"}]}
      """
    And the queen answers GET /v2/workers/standby with
      """
      {"standby": []}
      """
    And the queen answers GET /v2/hives/status with
      """
      {"hives": [{"node": "localhost", "state": "running", "url": "http://<hive address>:9200",
        "version": "<version>", "ours": true,
        "owner": {"program": "queen-rbee", "pid": <queen pid>, "started": "≈ <queen started> ± 1",
          "host": "<host>"},
        "backends": ["cpu"], "devices": {"cpu": 1}, "ram_total_bytes": <total memory>,
        "ram_free_bytes": "≈ <free memory>",
        "workers": [{"id": "<worker id>", "url": "http://<hive address>:8001",
          "model_ref": "bundled:smollm2-135m-instruct", "backend": "cpu", "device": 0,
          "state": "idle", "last_activity": "≈ <answered at> ± 2", "last_health": "≈ <now> ± 5",
          "slots_total": 4, "slots_available": 4, "context": 8192,
          "frees_bytes": 188743680, "pinned": false}],
        "error": null}]}
      """
    And the queen answers GET /v2/registry/beehives/list with
      """
      {"nodes": []}
      """
    And the queen answers GET /v2/registry/beehives/check with
      """
      {"nodes": []}
      """
    And the queen answers GET /v2/models with
      """
      {"models": [{"id": 1, "provider": "hf", "reference": "hf:lab/small/small-Q8_0.gguf",
         "local_path": "<models folder>/lab/small/small-Q8_0.gguf", "size_bytes": <model size>,
         "downloaded_at_unix": "≈ <now> ± 600", "quantization": "Q8_0",
         "sha256": null, "files": 1, "state": "ready", "bytes_downloaded": <model size>, "node": "localhost"}],
       "disks": [{"node": "localhost", "folder": "<models folder>",
         "disk_total_bytes": <total disk>, "disk_free_bytes": "≈ <free disk> ± 1000000000"}],
       "notes": []}
      """
    And the hive answers GET /v1/health with
      """
      {"status": "alive", "version": "<version>", "api_version": "v1"}
      """
    And the hive answers GET /v1/node with
      """
      {"backends": ["cpu"], "devices": {"cpu": 1},
       "memory": [{"backend": "cpu", "index": 0, "name": "…", "memory_total_bytes": <total memory>,
         "memory_free_bytes": "≈ <free memory>"}],
       "ram_total_bytes": <total memory>, "ram_free_bytes": "≈ <free memory>",
       "disk_free_bytes": "≈ <free disk> ± 1000000000", "state": "running",
       "owner": {"program": "queen-rbee", "pid": <queen pid>, "started": "≈ <queen started> ± 1",
         "host": "<host>"},
       "time_unix": "≈ <now> ± 5"}
      """
    And the hive answers GET /v1/models with
      """
      {"models": [{"id": 1, "provider": "hf", "reference": "hf:lab/small/small-Q8_0.gguf",
         "local_path": "<models folder>/lab/small/small-Q8_0.gguf", "size_bytes": <model size>,
         "downloaded_at_unix": "≈ <now> ± 600", "quantization": "Q8_0",
         "sha256": null, "files": 1, "state": "ready", "bytes_downloaded": <model size>}],
       "folder": "<models folder>", "disk_total_bytes": <total disk>,
       "disk_free_bytes": "≈ <free disk> ± 1000000000", "notes": []}
      """
    And the hive answers GET /v1/workers/list with
      """
      {"workers": [{"id": "<worker id>", "url": "http://<hive address>:8001",
        "model_ref": "bundled:smollm2-135m-instruct", "backend": "cpu", "device": 0,
        "state": "idle", "last_activity": "≈ <answered at> ± 2", "last_health": "≈ <now> ± 5",
        "slots_total": 4, "slots_available": 4, "context": 8192,
        "frees_bytes": 188743680, "pinned": false}]}
      """
    And the worker answers GET /health with
      """
      {"status": "healthy", "model_loaded": true, "memory_bytes": "≈ <worker memory> ± 30000000"}
      """
    And the worker answers GET /v1/ready with
      """
      {"ready": true, "state": "idle", "model_loaded": true}
      """
    And the worker answers GET /v1/model with
      """
      {"file": "<bundled file>", "size_bytes": <bundled size>, "format": "GGUF",
       "loader": "llama.cpp", "architecture": "llama", "quantization": "Q4_1", "layers": 30,
       "context_length": 8192, "context": 8192, "vocabulary_size": 49152, "eos_token_id": 2,
       "model_bytes": "≈ <bundled size> ± 5000000"}
      """

  Scenario Outline: The ready line of <program>
    When an operator starts `<program> daemon --port 0`
    Then its ready line is
      """
      {"event": "listening", "program": "<program>", "version": "<version>", "pid": <its pid>,
       "url": "http://<its address>"}
      """

    Examples:
      | program    |
      | queen-rbee |
      | rbee-hive  |

  Scenario: Ephemeral, and then kept
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    Then the queen answers GET /health with
      """
      {"status": "ok", "program": "queen-rbee", "version": "<version>", "pid": <queen pid>,
       "lifetime": "ephemeral"}
      """
    When the queen is asked to keep running
    Then the queen answers GET /health with
      """
      {"status": "ok", "program": "queen-rbee", "version": "<version>", "pid": <queen pid>,
       "lifetime": "persistent"}
      """
    And the queen that was started is persistent
    When the keeper gets SIGINT
    Then it exits with 130

  Scenario: What there is to know of a model, from its download to its end
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And the setting models.aliases.mine is "hf:lab/small:Q8_0"
    And the setting models.aliases.tinyllama is "hf:lab/small"
    And a queen and a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q8_0
    Then it is fetched
    And the hive answers GET /v1/models with
      """
      {"models": [{"id": 1, "provider": "hf", "reference": "hf:lab/small/small-Q8_0.gguf",
         "local_path": "<models folder>/lab/small/small-Q8_0.gguf", "size_bytes": <model size>,
         "downloaded_at_unix": "≈ <now> ± 30", "quantization": "Q8_0",
         "sha256": "<model sha256>", "files": 1, "state": "ready",
         "bytes_downloaded": <model size>}],
       "folder": "<models folder>", "disk_total_bytes": <total disk>,
       "disk_free_bytes": "≈ <free disk> ± 1000000000", "notes": []}
      """
    And the queen answers GET /v2/models with
      """
      {"models": [{"id": 1, "provider": "hf", "reference": "hf:lab/small/small-Q8_0.gguf",
         "local_path": "<models folder>/lab/small/small-Q8_0.gguf", "size_bytes": <model size>,
         "downloaded_at_unix": "≈ <now> ± 30", "quantization": "Q8_0",
         "sha256": "<model sha256>", "files": 1, "state": "ready",
         "bytes_downloaded": <model size>, "node": "localhost"}],
       "disks": [{"node": "localhost", "folder": "<models folder>",
         "disk_total_bytes": <total disk>, "disk_free_bytes": "≈ <free disk> ± 1000000000"}],
       "notes": []}
      """
    And the hive answers POST /v1/models/download {"model":"hf:lab/small:Q8_0"} with
      """
      {"download_id": "…", "reference": "hf:lab/small/small-Q8_0.gguf",
       "local_path": "<models folder>/lab/small/small-Q8_0.gguf"}
      """
    And asked with Accept: text/event-stream, the hive ends POST /v1/models/download {"model":"hf:lab/small:Q8_0"} with download_reply
      """
      {"download_id": "…", "reference": "hf:lab/small/small-Q8_0.gguf",
       "local_path": "<models folder>/lab/small/small-Q8_0.gguf"}
      """
    And the hive answers POST /v1/models/resolve {"model":"hf:lab/small"} with
      """
      {"reference": "hf:lab/small/small-Q8_0.gguf"}
      """
    And the hive answers POST /v1/models/resolve {"model":"mine"} with
      """
      {"reference": "hf:lab/small/small-Q8_0.gguf"}
      """
    And the hive answers POST /v1/models/resolve {"model":"tinyllama"} with
      """
      {"reference": "hf:lab/small/small-Q8_0.gguf"}
      """
    And the hive answers POST /v1/models/resolve {"model":"hf:lab/small:Q4_K_M"} with
      """
      {"reference": null}
      """
    And the hive answers POST /v1/models/info {"model":"hf:lab/small:Q8_0"} with
      """
      {"reference": "hf:lab/small/small-Q8_0.gguf", "state": "ready", "size_bytes": <model size>,
       "local_path": "<models folder>/lab/small/small-Q8_0.gguf", "sha256": "<model sha256>",
       "architecture": "llama", "quantization": "Q8_0", "layers": 1, "context_length": 8192,
       "vocabulary_size": 49152, "required_bytes": "≈ <model needs> ± 1",
       "memory_total_bytes": <total memory>,
       "memory_free_bytes": "≈ <free memory>", "offered": []}
      """
    And the queen answers POST /v2/models/info {"model":"hf:lab/small:Q4_K_M"} with
      """
      {"reference": "hf:lab/small/small-Q4_K_M.gguf", "state": "not on this node",
       "size_bytes": <other size>, "local_path": null, "sha256": "<other sha256>",
       "architecture": "llama", "quantization": "Q4_K_M", "layers": 1, "context_length": 8192,
       "vocabulary_size": 49152, "required_bytes": "≈ <other needs> ± 1",
       "memory_total_bytes": <total memory>,
       "memory_free_bytes": "≈ <free memory>",
       "offered": [
         {"reference": "hf:lab/small/small-Q4_K_M.gguf", "quantization": "Q4_K_M",
          "size_bytes": <other size>, "fits": true},
         {"reference": "hf:lab/small/small-Q8_0.gguf", "quantization": "Q8_0",
          "size_bytes": <model size>, "fits": true}]}
      """
    And the last event that the queen answers to POST /v2/models/verify {"model":"hf:lab/small:Q8_0"} is verify with
      """
      {"stage": "complete", "sha256": ["<model sha256>"], "compared": true}
      """
    And the queen answers POST /v2/models/delete {"model":"hf:lab/small:Q8_0"} with
      """
      {"message": "…hf:lab/small/small-Q8_0.gguf…", "freed_bytes": <model size>}
      """

  Scenario: A node, from its addition to its end
    Given the node workstation
    And the person's ssh knows the key of workstation
    And a persistent queen
    Then the queen answers POST /v2/registry/beehives/add {"node_name":"workstation","ssh_host":"workstation.home.arpa","git_branch":"next","hive_port":9300} with
      """
      {"success": true, "message": "…workstation…<version>…", "node_name": "workstation",
       "installed": "<version>",
       "detected": {"version": "<version>",
         "hardware": [{"backend": "cpu", "index": 0, "name": "…",
           "memory_total_bytes": <total memory>,
           "memory_free_bytes": "≈ <free memory>"}],
         "backends": ["cpu"], "devices": {"cpu": 1}, "advice": [], "notes": [],
         "time_unix": "≈ <now> ± 10"}}
      """
    And the queen answers GET /v2/registry/beehives/list with
      """
      {"nodes": [{"node_name": "workstation", "ssh_host": "workstation.home.arpa",
        "ssh_port": null, "ssh_user": null, "ssh_key_path": null, "git_repo_url": null,
        "git_branch": "next", "install_path": null, "last_connected_unix": "≈ <now> ± 10",
        "last_error": null, "status": "reachable", "backends": ["cpu"], "devices": {"cpu": 1},
        "hive_port": 9300, "hive_url": null, "api_key_file": null, "tunnel": false,
        "mac": null, "wake": true, "wake_address": "255.255.255.255"}]}
      """
    And the queen answers GET /v2/registry/beehives/check with
      """
      {"nodes": [{"node": "workstation", "hive": "stopped", "version": "<version>",
        "clock_ahead_s": "≈ 0 ± 2", "code": null, "error": null, "advice": null}]}
      """
    And the queen answers POST /v2/registry/reload { } with
      """
      {"success": true, "message": "…0…"}
      """
    And the queen answers POST /v2/registry/beehives/remove {"node_name":"workstation"} with
      """
      {"success": true, "message": "…workstation…"}
      """
    And the queen answers GET /v2/registry/beehives/list with
      """
      {"nodes": []}
      """

  Scenario: A node whose hive an operator started, and then stopped
    Given the node workstation
    And a hive that an operator started on workstation, at port 9333
    And these lines are added to the config file
      """
      [nodes.workstation]
      hive_url = "http://<workstation address>:9333"
      api_key_file = "<workstation root>/home/.rbee/api_key"
      """
    And a persistent queen
    Then the queen answers GET /v2/registry/beehives/check with
      """
      {"nodes": [{"node": "workstation", "hive": "running", "version": "<version>",
        "clock_ahead_s": "≈ 0 ± 2", "code": null, "error": null, "advice": null}]}
      """
    When the operator stops the hive on workstation
    Then the queen answers GET /v2/registry/beehives/check with
      """
      {"nodes": [{"node": "workstation", "hive": "unreachable", "version": null,
        "clock_ahead_s": null, "code": "CONNECTION_REFUSED", "error": "…<workstation address>:9333…refused…",
        "advice": "…rbee-keeper hive status --node workstation…"}]}
      """
    And the queen answers GET /v2/hives/status?node=workstation with
      """
      {"hives": [{"node": "workstation", "state": "unreachable", "url": null, "version": null,
        "ours": false, "owner": null, "backends": [], "devices": {}, "ram_total_bytes": null,
        "ram_free_bytes": null, "workers": [], "error": "…<workstation address>:9333…refused…"}]}
      """
    And the queen answers GET /v2/registry/beehives/list with
      """
      {"nodes": [{"node_name": "workstation", "ssh_host": null, "ssh_port": null, "ssh_user": null,
        "ssh_key_path": null, "git_repo_url": null, "git_branch": "main", "install_path": null,
        "last_connected_unix": null, "last_error": "…<workstation address>:9333…refused…",
        "status": "unreachable", "backends": null, "devices": null, "hive_port": 9200,
        "hive_url": "http://<workstation address>:9333",
        "api_key_file": "<workstation root>/home/.rbee/api_key", "tunnel": false,
        "mac": null, "wake": true, "wake_address": "255.255.255.255"}]}
      """
    And the queen answers GET /v2/nodes with
      """
      {"nodes": [{"node": "localhost", "state": "absent", "error": null, "facts_age_s": null,
         "memory": [], "disk_free_bytes": null, "models": null, "workers": [], "downloads": []},
        {"node": "workstation", "state": "unreachable",
         "error": "…<workstation address>:9333…refused…", "facts_age_s": null, "memory": [],
         "disk_free_bytes": null, "models": null, "workers": [], "downloads": []}],
       "waiting": 0}
      """

  Scenario: A node that has every setting in the config file
    Given a persistent queen
    And these lines are added to the config file
      """
      [nodes.attic]
      ssh_host = "attic.home.arpa"
      ssh_port = 2222
      ssh_user = "vince"
      ssh_key_path = "<home>/.ssh/lab"
      git_repo_url = "https://git.home.arpa/rbee.git"
      git_branch = "release"
      install_path = "~/lab"
      hive_port = 9311
      tunnel = true
      mac = "3C-7C-3F-12-AB-9E"
      wake = false
      wake_address = "192.168.1.255"
      """
    Then the queen answers POST /v2/registry/reload { } with
      """
      {"success": true, "message": "…1…"}
      """
    And the queen answers GET /v2/registry/beehives/list with
      """
      {"nodes": [{"node_name": "attic", "ssh_host": "attic.home.arpa", "ssh_port": 2222,
        "ssh_user": "vince", "ssh_key_path": "<home>/.ssh/lab",
        "git_repo_url": "https://git.home.arpa/rbee.git", "git_branch": "release",
        "install_path": "~/lab", "last_connected_unix": null, "last_error": null,
        "status": "unknown", "backends": null, "devices": null, "hive_port": 9311,
        "hive_url": null, "api_key_file": null, "tunnel": true,
        "mac": "3C-7C-3F-12-AB-9E", "wake": false, "wake_address": "192.168.1.255"}]}
      """

  Scenario: What streams tell of tasks that run and wait
    Given the setting worker.slots is 1
    And the setting hive.standby_workers is 0
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    Then it told started with
      """
      {"request_id": "<task id>", "model": "bundled:smollm2-135m-instruct",
       "worker_id": "<worker id>", "node": "localhost", "prompt_tokens": 4}
      """
    When another task is sent {"prompt":"hi","max_tokens":1}
    Then it told queued with
      """
      {"position": 1, "waiting": 1}
      """
    When another task is sent {"prompt":"hi","max_tokens":1}
    Then it told queued with
      """
      {"position": 2, "waiting": 2}
      """

  Scenario: What streams tell of a hold, and of a hive that ends
    Given a persistent queen, with a worker that has answered once
    When somebody follows GET /v2/hold
    Then it told hold with
      """
      {"hold_id": "…"}
      """
    And that hold is released, and the queen stays
    When somebody follows GET /v2/events
    And somebody else runs `rbee-keeper hive stop --node localhost`
    Then it told hive_gone with
      """
      {"node": "localhost", "how": "ended", "workers": 0}
      """
