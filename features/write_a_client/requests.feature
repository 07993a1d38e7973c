@beyond
Feature: A request that can't be served is refused, and the error names the field

  Scenario: Routes, methods, fields and limits of the three daemons
    Given a persistent queen, with a worker that has answered once
    When each of these requests is sent with the key
      | to     | request                                | body                                                                                           | status | field               | value                 | limit       |
      | queen  | GET /v2/nowhere                        |                                                                                                | 404    | path                | "/v2/nowhere"         | route       |
      | hive   | GET /v2/tasks                          |                                                                                                | 404    | path                | "/v2/tasks"           | route       |
      | worker | POST /v1/workers/list                  | {}                                                                                             | 404    | path                | "/v1/workers/list"    | route       |
      | queen  | PUT /v2/tasks                          |                                                                                                | 405    | path                | "/v2/tasks"           | route       |
      | hive   | DELETE /v1/models                      |                                                                                                | 405    | path                | "/v1/models"          | route       |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","max_token":5}                                                                  | 400    | max_token           | 5                     | unknown     |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","max_tokens":0}                                                                 | 400    | max_tokens          | 0                     | 1           |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","max_tokens":1000001}                                                           | 400    | max_tokens          | 1000001               | 1000000     |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","temperature":5.5}                                                              | 400    | temperature         | 5.5                   | 5           |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","top_p":0}                                                                      | 400    | top_p               | 0                     | 0           |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","stop":"a"}                                                                     | 400    | stop                | "a"                   | array       |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","stop":["a",""]}                                                                | 400    | stop[1]             | ""                    | 1           |
      | queen  | POST /v2/tasks                         | {"messages":[{"role":"user","content":5}]}                                                     | 400    | messages[0].content | 5                     | str         |
      | queen  | POST /v2/tasks                         | {}                                                                                             | 400    | prompt              | null                  | exactly one |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","messages":[{"role":"user","content":"hi"}]}                                    | 400    | prompt              | "hi"                  | exactly one |
      | queen  | POST /v2/tasks                         | {"prompt":"hi","keep_alive":"soon"}                                                            | 400    | keep_alive          | "soon"                | seconds     |
      | queen  | POST /v2/tasks                         | {"prompt":"hi"                                                                                 | 400    | body                | null                  | json        |
      | queen  | POST /v2/tasks                         | [1]                                                                                            | 400    | body                | null                  | object      |
      | queen  | POST /v2/workers/start                 | {"model":"smollm2","slots":257}                                                                | 400    | slots               | 257                   | 256         |
      | queen  | POST /v2/workers/shutdown              | {"worker_id":"worker-nobody"}                                                                  | 404    | worker_id           | "worker-nobody"       | worker      |
      | queen  | GET /v2/logs?lines=10001               |                                                                                                | 400    | lines               | "10001"               | 10000       |
      | queen  | GET /v2/logs?follow=maybe              |                                                                                                | 400    | follow              | "maybe"               | bool        |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"a b","ssh_host":"b.home.arpa"}                                                   | 400    | node_name           | "a b"                 | regex       |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","ssh_host":"b.home.arpa","ssh_port":70000}                                    | 400    | ssh_port            | 70000                 | 65535       |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b"}                                                                              | 400    | ssh_host            | null                  | hive_url    |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"localhost","ssh_host":"b.home.arpa"}                                             | 400    | node_name           | "localhost"           | another     |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","ssh_host":"b.home.arpa","git_repo_url":"https://me:secret@git.home.arpa/r.git"} | 400    | git_repo_url        | "https://…@git.home.arpa/r.git" | password    |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","ssh_host":"b.home.arpa","mac":"3d:7c:3f:12:ab:9e"}                           | 400    | mac                 | "3d:7c:3f:12:ab:9e"   | network card |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","ssh_host":"b.home.arpa","wake_address":"192.168.1.255:"}                     | 400    | wake_address        | "192.168.1.255:"      | host:port   |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","ssh_host":"b.home.arpa","install_path":"~lab/rbee"}                          | 400    | install_path        | "~lab/rbee"           | ~/folder    |
      | queen  | POST /v2/registry/beehives/add         | {"node_name":"b","hive_url":"https://b.home.arpa:9200"}                                        | 400    | hive_url            | "https://b.home.arpa:9200" | http://host:port |
      | queen  | POST /v2/keys                          | {"name":"a","weight":0}                                                                        | 400    | weight              | 0                     | 0.01        |
      | queen  | POST /v2/keys                          | {"name":"a","role":"manage","models":["smollm2"]}                                              | 400    | models              | ["smollm2"]           | none for the role |
      | queen  | POST /v2/keys/nobody                   | {}                                                                                             | 400    | weight              | null                  | queue_limit |
      | hive   | POST /v1/workers/ready                 | {"worker_id":"worker-x","url":"http://127.0.0.1:1","model_ref":"m","backend":"cpu","device":0} | 404    | worker_id           | "worker-x"            | worker      |
      | hive   | POST /v1/workers/shutdown              | {"worker_id":"worker-x"}                                                                       | 404    | worker_id           | "worker-x"            | worker      |
      | hive   | POST /v1/workers/spawn                 | {"model":"smollm2","context":63}                                                               | 400    | context             | 63                    | 64          |
      | hive   | GET /v1/models/download/progress?id=x1 |                                                                                                | 404    | id                  | "x1"                  | download    |
      | worker | POST /v1/inference                     | {"prompt":"hi","stream":false}                                                                 | 400    | stream              | false                 | true        |
      | worker | POST /v1/inference                     | {"prompt":"hi","request_id":"a b"}                                                             | 400    | request_id          | "a b"                 | regex       |
    Then each is refused with that status and INVALID_REQUEST, and names that field, that value and its limit
    And queen, hive and worker are still the same processes

  Scenario: The largest body
    Given a queen and a hive that an operator started
    Then queen and hive read a body of 16777216 bytes, and refuse one more byte with 413, which names that limit

  # A few kilobytes can be gigabytes, and a body may come from anybody until the key is known.
  Scenario: A compressed body
    Given a queen and a hive that an operator started
    Then queen and hive refuse a body in gzip with 415, and with 401 where there is no key
    And they refuse a plain body that is called gzip with 415

  Scenario: A task that has ended, or never was, is deleted
    Given a persistent queen, with a worker that has answered once
    When a task for 5 tokens is answered
    Then its DELETE is answered with 204 and no body, also when it is repeated
    And the DELETE of a task that never was is answered with 204 and no body

  Scenario: A task's defaults
    The same seed gives the same text only if every other value is the same, too.
    Given a persistent queen, with a worker that has answered once
    When a task is answered to {"prompt":"Once upon a time","seed":7,"ignore_eos":true}
    And a task is answered to {"prompt":"Once upon a time","seed":7,"ignore_eos":true,"max_tokens":512,"temperature":0.7,"top_p":0.95,"top_k":40,"min_p":0.05,"repeat_penalty":1.0,"presence_penalty":0.0,"frequency_penalty":0.0,"logit_bias":{},"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"chat_template_kwargs":{},"stop":[],"cache_prompt":true}
    Then both answers have the same 512 tokens, and the reason MAX_TOKENS

  Scenario: Every field of a task reaches the worker, and every flag of the keeper the queen
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is answered to {"prompt":"Once upon a time","max_tokens":3,"temperature":0.4,"top_p":0.6,"top_k":7,"min_p":0.15,"repeat_penalty":1.3,"seed":99,"stop":["one","two"],"ignore_eos":true,"cache_prompt":false,"keep_alive":"10m"}
    Then the worker was sent the same fields, under the task's id
    Given a proxy between keeper and queen
    When I run `rbee-keeper infer --prompt hi --node localhost --model smollm2 --backend cpu --device 0 --max-tokens 3 --temperature 0.4 --top-p 0.6 --top-k 7 --min-p 0.15 --repeat-penalty 1.3 --seed 99 --stop one --stop two --ignore-eos --keep-alive 10m --force --explain`
    Then it exits with 0
    And the queen was sent {"messages":[{"role":"user","content":"hi"}],"node":"localhost","model":"smollm2","backend":"cpu","device":0,"max_tokens":3,"temperature":0.4,"top_p":0.6,"top_k":7,"min_p":0.15,"repeat_penalty":1.3,"presence_penalty":0.0,"frequency_penalty":0.0,"logit_bias":{},"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"chat_template_kwargs":{},"seed":99,"stop":["one","two"],"ignore_eos":true,"cache_prompt":true,"keep_alive":"10m","force":true,"explain":true}
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 0
    And the queen was sent {"messages":[{"role":"user","content":"hi"}],"max_tokens":512,"temperature":0.7,"top_p":0.95,"top_k":40,"min_p":0.05,"repeat_penalty":1.0,"presence_penalty":0.0,"frequency_penalty":0.0,"logit_bias":{},"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"chat_template_kwargs":{},"stop":[],"ignore_eos":false,"cache_prompt":true,"force":false,"explain":false}
