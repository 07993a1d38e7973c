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

  Scenario Outline: <code> from the hive reaches who asked the queen
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

  Scenario: What is wrong with a field is told with the field
    Given a queen and a hive that an operator started
    When the queen is sent POST /v2/tasks {"prompt":"hi","max_tokens":-1}
    Then the answer is 400 with the error INVALID_REQUEST
    And one of its errors has the field "max_tokens", a constraint, a message and the value -1

  Scenario: PROMPT_TOO_LONG
    Given the setting worker.context is 256
    And a queen that lasts, with a worker that has answered once
    When the worker is sent a prompt of 2000 words
    Then the answer is 400 with the error PROMPT_TOO_LONG
    And its details are exactly errors
    When a task is sent with a prompt of 2000 words
    Then the answer is the error PROMPT_TOO_LONG
    And its details are exactly errors

  Scenario Outline: INVALID_API_KEY from the <who>
    Given a queen that lasts, with a worker that has answered once
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
    And a queen that lasts, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is sent a prompt
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And it says 1 slot in all and 1 busy, in the error and in its details
    And it says when to try again

  Scenario: QUEUE_FULL
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a queen that lasts, with a worker that has answered once
    When a task for 2000 tokens streams
    And a task waits in the queue
    And a task is sent {"prompt":"hi","max_tokens":1}
    Then the answer is the error QUEUE_FULL
    And its details are exactly slots_total, slots_busy, waiting

  Scenario: WORKER_CRASHED
    Given a queen that lasts, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is killed
    Then the stream ends with the error WORKER_CRASHED and [DONE]
    And its details are exactly worker_id, node, tokens, max_tokens, log_tail

  Scenario: REQUEST_CANCELED
    Given a queen that lasts, with a worker that has answered once
    When a task for 2000 tokens streams
    And that task is deleted
    Then the stream ends with the error REQUEST_CANCELED and [DONE]
    And the worker becomes idle
