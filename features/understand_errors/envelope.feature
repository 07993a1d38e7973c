@t001-53
Feature: Every error has one shape
  {"error":{"code","message","details"}}: before the first byte with an HTTP status, after it as an
  `error` event, and the details' keys are those of the contract, no more and no fewer.

  Scenario Outline: <code> from the <who>
    Given a queen and a hive that an operator started
    When the <who> is sent <request> <body>
    Then the answer is <status> with the error <code>
    And its details are exactly <details>

    Examples:
      | code                     | who   | request                  | body                                                 | status | details                           |
      | NODE_NOT_FOUND           | queen | POST /v2/tasks           | {"prompt":"hi","node":"nowhere"}                     | 404    | node                              |
      | INVALID_MODEL_REF        | queen | POST /v2/tasks           | {"prompt":"hi","model":"gopher://attic/model"}       | 400    | value, forms                      |
      | INVALID_REQUEST          | queen | POST /v2/tasks           | {"prompt":"hi","max_tokens":-1}                      | 400    | errors                            |
      | INVALID_REQUEST          | hive  | POST /v1/workers/spawn   | {"backend":"cpu","device":0}                         | 400    | errors                            |
      | MODEL_NOT_FOUND          | hive  | POST /v1/models/download | {"model":"<missing>"}                                | 404    | model, near                       |
      | UNSUPPORTED_MODEL_FORMAT | hive  | POST /v1/models/download | {"model":"<safetensors>"}                            | 400    | value, forms                      |
      | MODEL_CORRUPT            | hive  | POST /v1/workers/spawn   | {"model":"<truncated>","backend":"cpu","device":0}   | 422    | file, reason                      |
      | BACKEND_UNAVAILABLE      | hive  | POST /v1/workers/spawn   | {"model":"smollm2","backend":"metal","device":0}     | 409    | backend, available                |
      | VRAM_EXHAUSTED           | hive  | POST /v1/workers/spawn   | {"model":"<enormous>","backend":"cpu","device":0}    | 507    | node, device, required, available |

  Scenario Outline: <code> of a model on the Hub
    Given the Hub has lab/small with small.gguf, the small model
    And <fault>
    And a queen and a hive that an operator started
    When the hive is sent POST /v1/models/download {"model":"<model>"}
    Then the answer is <status> with the error <code>
    And its details are exactly <details>
    When the queen is sent POST /v2/models/download {"model":"<model>"}
    Then the answer is the error <code>
    And its details are exactly <details>

    Examples:
      | code            | fault                                           | model                  | status | details                                              |
      | MODEL_NOT_FOUND | the Hub redirects files to another host         | hf:lab/small/smal.gguf | 404    | model, near                                          |
      | MODEL_GATED     | lab/small requires the token hf_open            | hf:lab/small           | 403    | model, url                                           |
      | DOWNLOAD_FAILED | the Hub is down                                 | hf:lab/small           | 502    | model, attempts, bytes_downloaded, bytes_total, reason |

    @tmpfs
    Examples: on a small disk
      | code            | fault                                           | model                  | status | details                                              |
      | DISK_FULL       | the models folder is on a disk of 8 MB          | hf:lab/small           | 507    | required, available, path                            |

  Scenario: CHECKSUM_MISMATCH
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub reports a wrong sha256 for small.gguf in lab/small
    And a queen and a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then the stream ends with the error CHECKSUM_MISMATCH and [DONE]
    And its details are exactly file, expected, actual
    When the queen is sent POST /v2/models/download {"model":"hf:lab/small"}
    Then the answer is the error CHECKSUM_MISMATCH
    And its details are exactly file, expected, actual

  Scenario: DOWNLOAD_FAILED in mid-download
    Given the Hub has lab/small with small.gguf, the small model
    And a transfer resets at 40 % of the file, each time
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then the stream ends with the error DOWNLOAD_FAILED and [DONE]
    And its details are exactly model, attempts, bytes_downloaded, bytes_total, reason
    And the details say 6 attempts and 40 % of the bytes

  Scenario: INVALID_REQUEST for a download that nobody asked for
    Given a hive that an operator started
    When somebody follows a download that does not exist
    Then the answer is 404 with the error INVALID_REQUEST
    And its details are exactly errors

  Scenario: MODEL_IN_USE
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a queen and a hive that an operator started
    And a worker for hf:lab/smol/smol-Q4_1.gguf is ready
    When the hive is sent POST /v1/models/delete {"model":"hf:lab/smol/smol-Q4_1.gguf"}
    Then the answer is 409 with the error MODEL_IN_USE
    And its details are exactly model, workers
    When the queen is sent POST /v2/models/delete {"model":"hf:lab/smol/smol-Q4_1.gguf"}
    Then the answer is the error MODEL_IN_USE
    And its details are exactly model, workers

  Scenario Outline: <code> from the hive reaches the client that asked the queen
    Given a queen and a hive that an operator started
    When a task is sent <body>
    Then the answer is the error <code>
    And its details are exactly <details>

    Examples:
      | code                     | body                                | details                           |
      | MODEL_NOT_FOUND          | {"prompt":"hi","model":"<missing>"}     | model, near                       |
      | UNSUPPORTED_MODEL_FORMAT | {"prompt":"hi","model":"<safetensors>"} | value, forms                  |
      | MODEL_CORRUPT            | {"prompt":"hi","model":"<truncated>"}   | file, reason                  |
      | BACKEND_UNAVAILABLE      | {"prompt":"hi","backend":"metal"}       | backend, available            |
      | VRAM_EXHAUSTED           | {"prompt":"hi","model":"<enormous>"}    | node, device, required, available |

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
    And its details are exactly <details>

    Examples:
      | code                  | fault                                      | details                                           |
      | CONNECTION_TIMEOUT    | workstation's SSH server is mute           | host, port, attempts, node                        |
      | SSH_CONNECTION_FAILED | workstation's SSH server rejects every key | host, port, reason, agent                         |
      | VERSION_MISMATCH      | version 0.2.0 is installed on workstation  | program, version, other_program, other_version, hint |

  Scenario: PORT_BLOCKED
    Given the node workstation behind a router that lets only SSH through
    And somebody has added workstation
    And a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","node":"workstation"}
    Then the answer is the error PORT_BLOCKED
    And its details are exactly host, port

  Scenario: PROMPT_TOO_LONG
    Given the setting worker.context is 256
    And a persistent queen, with a worker that has answered once
    When the worker is sent a prompt of 2000 words
    Then the answer is 400 with the error PROMPT_TOO_LONG
    And its details are exactly errors
    When a task is sent with a prompt of 2000 words
    Then the answer is the error PROMPT_TOO_LONG
    And its details are exactly errors

  Scenario Outline: INVALID_API_KEY from the <who>
    Given a persistent queen, with a worker that has answered once
    When the <who> is asked for its state with <key>
    Then the answer is 401 with the error INVALID_API_KEY
    And its details are exactly host

    Examples:
      | who    | key         |
      | queen  | a wrong key |
      | queen  | no key      |
      | hive   | a wrong key |
      | worker | a wrong key |
      | worker | no key      |

  Scenario: ALL_SLOTS_BUSY
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is sent a prompt of 2 words
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And it says 1 slot in all and 1 busy, in the error and in its details
    And it says when to try again

  Scenario: QUEUE_FULL
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And a task waits in the queue
    And a task is sent {"prompt":"hi","max_tokens":1}
    Then the answer is the error QUEUE_FULL
    And its details are exactly slots_total, slots_busy, waiting

  Scenario: WORKER_CRASHED
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is killed
    Then the stream ends with the error WORKER_CRASHED and [DONE]
    And its details are exactly worker_id, node, tokens, max_tokens, log_tail

  Scenario: REQUEST_CANCELED
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And that task is deleted
    Then the stream ends with the error REQUEST_CANCELED and [DONE]
    And the worker becomes idle
