@t001-53
Feature: Every error has one shape
  {"error":{"code","message","details"}}: before the first byte with an HTTP status, after it as an
  `error` event, and the details are those of the contract, no more and no fewer, value by value.

  Scenario Outline: <code> from the <who>
    Given a queen and a hive that an operator started
    When the <who> is sent <request> <body>
    Then the answer is <status> with the error <code>
    And its details are <details>

    Examples:
      | code                     | who   | request                  | body                                               | status | details                                                                                                                                                                                                               |
      | NODE_NOT_FOUND           | queen | POST /v2/tasks           | {"prompt":"hi","node":"nowhere"}                   | 404    | {"node":"nowhere"}                                                                                                                                                                                                    |
      | INVALID_MODEL_REF        | queen | POST /v2/tasks           | {"prompt":"hi","model":"gopher://attic/model"}     | 400    | {"value":"gopher://attic/model","forms":["hf:owner/repo","hf:owner/repo:Q8_0","hf:owner/repo/path/file.gguf","hf:owner/repo@revision","file:/abs/path.gguf","bundled:smollm2-135m-instruct","owner/repo","an alias"]} |
      | INVALID_REQUEST          | queen | POST /v2/tasks           | {"prompt":"hi","max_tokens":-1}                    | 400    | {"errors":[{"field":"max_tokens","constraint":"…1…","message":"…1…","value":-1}]}                                                                                                                                     |
      | INVALID_REQUEST          | hive  | POST /v1/workers/spawn   | {"backend":"cpu","device":0}                       | 400    | {"errors":[{"field":"model","constraint":"…","message":"…","value":null}]}                                                                                                                                            |
      | MODEL_NOT_FOUND          | hive  | POST /v1/models/download | {"model":"<missing>"}                              | 404    | {"model":"<missing>","near":[]}                                                                                                                                                                                       |
      | UNSUPPORTED_MODEL_FORMAT | hive  | POST /v1/models/download | {"model":"<safetensors>"}                          | 400    | {"value":"…/model.safetensors","forms":["hf:owner/repo","hf:owner/repo:Q8_0","hf:owner/repo/path/file.gguf","hf:owner/repo@revision","file:/abs/path.gguf","bundled:smollm2-135m-instruct","owner/repo","an alias"]}  |
      | MODEL_CORRUPT            | hive  | POST /v1/workers/spawn   | {"model":"<truncated>","backend":"cpu","device":0} | 422    | {"file":"…/truncated.gguf","reason":"…cut short…"}                                                                                                                                                                    |
      | BACKEND_UNAVAILABLE      | hive  | POST /v1/workers/spawn   | {"model":"smollm2","backend":"metal","device":0}   | 409    | {"backend":"metal","available":["cpu"]}                                                                                                                                                                               |

  Scenario: VRAM_EXHAUSTED
    Given a queen and a hive that an operator started
    When the hive is sent POST /v1/workers/spawn {"model":"<enormous>","backend":"cpu","device":0}
    Then the answer is 507 with the error VRAM_EXHAUSTED
    And its details are exactly node, device, required, available
    And they name this machine and cpu, 1.2 times the size of <enormous>, and what is free, in MB
    When a task is sent {"prompt":"hi","model":"<enormous>"}
    Then the answer is the error VRAM_EXHAUSTED
    And its details are exactly node, device, required, available
    And they name localhost and cpu, 1.2 times the size of <enormous>, and what is free, in MB

  Scenario Outline: <code> of a model on the Hub
    Given the Hub has lab/small with small.gguf, the small model
    And <fault>
    And a queen and a hive that an operator started
    When the hive is sent POST /v1/models/download {"model":"<model>"}
    Then the answer is <status> with the error <code>
    And its details are <details>
    And its message says "<words>"
    When the queen is sent POST /v2/models/download {"model":"<model>"}
    Then the answer is the error <code>
    And its details are <details>
    And its message is that of the answer before

    Examples:
      | code            | fault                                   | model                  | status | details                                                                                    | words     |
      | MODEL_NOT_FOUND | the Hub redirects files to another host | hf:lab/small/smal.gguf | 404    | {"model":"hf:lab/small/smal.gguf","near":["hf:lab/small/small.gguf"]}                      | lab/small |
      | MODEL_GATED     | lab/small requires the token hf_open    | hf:lab/small           | 403    | {"model":"hf:lab/small/small.gguf","url":"<Hub>/lab/small"}                                | lab/small |
      | DOWNLOAD_FAILED | the Hub is down                         | hf:lab/small           | 502    | {"model":"hf:lab/small","attempts":6,"bytes_downloaded":0,"bytes_total":null,"reason":"…"} | lab/small |

  @tmpfs
  Scenario: DISK_FULL
    Given the Hub has lab/small with small.gguf, the small model
    And the models folder is on a disk of 8 MB
    And a queen and a hive that an operator started
    When the hive is sent POST /v1/models/download {"model":"hf:lab/small"}
    Then the answer is 507 with the error DISK_FULL
    And its details are exactly required, available, path
    And they name the models folder, the size of <small>, and what is free there, in MB
    When the queen is sent POST /v2/models/download {"model":"hf:lab/small"}
    Then the answer is the error DISK_FULL
    And its details are exactly required, available, path
    And they name the models folder, the size of <small>, and what is free there, in MB
    And its message is that of the answer before

  Scenario: CHECKSUM_MISMATCH
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub reports a wrong sha256 for small.gguf in lab/small
    And a queen and a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then the stream ends with the error CHECKSUM_MISMATCH and [DONE]
    And its details are exactly file, expected, actual
    And they name small.gguf, the sha256 that the Hub reports, and that of <small>
    When the queen is sent POST /v2/models/download {"model":"hf:lab/small"}
    Then the answer is the error CHECKSUM_MISMATCH
    And its details are exactly file, expected, actual
    And they name small.gguf, the sha256 that the Hub reports, and that of <small>

  Scenario: DOWNLOAD_FAILED in mid-download
    Given the Hub has lab/small with small.gguf, the small model
    And a transfer resets at 40 % of the file, each time
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then the stream ends with the error DOWNLOAD_FAILED and [DONE]
    And its details are exactly model, attempts, bytes_downloaded, bytes_total, reason
    And the details say 6 attempts and 40 % of the bytes
    And they name hf:lab/small/small.gguf, the size of <small> in bytes, and "Connection reset" as the reason

  Scenario: INVALID_REQUEST for a download that nobody asked for
    Given a hive that an operator started
    When somebody follows a download that does not exist
    Then the answer is 404 with the error INVALID_REQUEST
    And its details are {"errors":[{"field":"id","constraint":"…download…","message":"…nobody…","value":"nobody"}]}

  Scenario: MODEL_IN_USE
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a queen and a hive that an operator started
    And a worker for hf:lab/smol/smol-Q4_1.gguf is ready
    When the hive is sent POST /v1/models/delete {"model":"hf:lab/smol/smol-Q4_1.gguf"}
    Then the answer is 409 with the error MODEL_IN_USE
    And its details are exactly model, workers
    And they name hf:lab/smol/smol-Q4_1.gguf and the only worker
    When the queen is sent POST /v2/models/delete {"model":"hf:lab/smol/smol-Q4_1.gguf"}
    Then the answer is the error MODEL_IN_USE
    And its details are exactly model, workers
    And they name hf:lab/smol/smol-Q4_1.gguf and the only worker

  Scenario Outline: <code> from the hive reaches the client that asked the queen
    Given a queen and a hive that an operator started
    When a task is sent <body>
    Then the answer is the error <code>
    And its details are <details>

    Examples:
      | code                     | body                                    | details                                                                                                                                                                                                              |
      | MODEL_NOT_FOUND          | {"prompt":"hi","model":"<missing>"}     | {"model":"<missing>","near":[]}                                                                                                                                                                                      |
      | UNSUPPORTED_MODEL_FORMAT | {"prompt":"hi","model":"<safetensors>"} | {"value":"…/model.safetensors","forms":["hf:owner/repo","hf:owner/repo:Q8_0","hf:owner/repo/path/file.gguf","hf:owner/repo@revision","file:/abs/path.gguf","bundled:smollm2-135m-instruct","owner/repo","an alias"]} |
      | MODEL_CORRUPT            | {"prompt":"hi","model":"<truncated>"}   | {"file":"…/truncated.gguf","reason":"…cut short…"}                                                                                                                                                                   |
      | BACKEND_UNAVAILABLE      | {"prompt":"hi","backend":"metal"}       | {"backend":"metal","available":["cpu"]}                                                                                                                                                                              |

  Scenario: An error in a field names the field
    Given a queen and a hive that an operator started
    When the queen is sent POST /v2/tasks {"prompt":"hi","max_tokens":-1}
    Then the answer is 400 with the error INVALID_REQUEST
    And one of its errors has the field "max_tokens", a constraint, a message and the value -1

  Scenario Outline: <code> of a node
    Given the added node workstation
    And the setting times.connect_s is 0.5
    And <fault>
    And a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","node":"workstation"}
    Then the answer is the error <code>
    And its details are <details>

    Examples:
      | code                  | fault                                      | details                                                                                                             |
      | CONNECTION_TIMEOUT    | workstation's SSH server is mute           | {"host":"workstation.home.arpa","port":<workstation port>,"attempts":3,"node":"workstation"}                        |
      | SSH_CONNECTION_FAILED | workstation's SSH server rejects every key | {"host":"<workstation address>","port":<workstation port>,"reason":"the key was rejected…","agent":false,"command":"ssh workstation.home.arpa"} |
      | VERSION_MISMATCH      | version 0.2.0 is installed on workstation  | {"program":"queen-rbee","version":"<version>","other_program":"rbee-hive","other_version":"0.2.0","hint":"…0.2.0…"} |
      | CONNECTION_REFUSED    | workstation's SSH server refuses connections | {"host":"<workstation address>","port":<workstation port>,"attempts":3,"node":"workstation"}                      |

  Scenario: PORT_BLOCKED
    Given the node workstation behind a router that lets only SSH through
    And somebody has added workstation
    And a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","node":"workstation"}
    Then the answer is the error PORT_BLOCKED
    And its details are {"host":"<outside address>","port":9200}

  Scenario: PROMPT_TOO_LONG
    Given the setting worker.context is 256
    And a persistent queen, with a worker that has answered once
    When the worker is sent a prompt of 2000 words
    Then the answer is 400 with the error PROMPT_TOO_LONG
    And its details are exactly errors
    And they name the prompt, its more than 2000 tokens, and the limit of 255
    When a task is sent with a prompt of 2000 words
    Then the answer is the error PROMPT_TOO_LONG
    And its details are exactly errors
    And they name the prompt, its more than 2000 tokens, and the limit of 255

  Scenario Outline: INVALID_API_KEY from the <who>
    Given a persistent queen, with a worker that has answered once
    When the <who> is asked for its state with <key>
    Then the answer is 401 with the error INVALID_API_KEY
    And its details are {"host":"<host>"}

    Examples:
      | who    | key         | host                 |
      | queen  | a wrong key | <queen address>:8080 |
      | queen  | no key      | <queen address>:8080 |
      | hive   | a wrong key | <hive address>:9200  |
      | worker | a wrong key | <hive address>:8001  |
      | worker | no key      | <hive address>:8001  |

  Scenario: ALL_SLOTS_BUSY
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is sent a prompt of 2 words
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And it says 1 slot in all and 1 busy, in the error and in its details
    And its details are {"slots_total":1,"slots_busy":1,"waiting":0}
    And it says when to try again

  Scenario: QUEUE_FULL
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And a task waits in the queue
    And a task is sent {"prompt":"hi","max_tokens":1}
    Then the answer is the error QUEUE_FULL
    And its details are {"slots_total":1,"slots_busy":1,"waiting":1}

  Scenario: WORKER_CRASHED
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is killed
    Then the stream ends with the error WORKER_CRASHED and [DONE]
    And its details are exactly worker_id, node, tokens, max_tokens, log_tail
    And they name that worker on localhost, as many of 2000 tokens as came, and the last lines of its log

  Scenario: REQUEST_CANCELED
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And that task is deleted
    Then the stream ends with the error REQUEST_CANCELED and [DONE]
    And the worker becomes idle
