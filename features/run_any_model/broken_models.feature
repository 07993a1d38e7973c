@beyond
Feature: What breaks under a loaded model is told, and the next worker is a good one

  Scenario: A model that computes what is not a number
    Given a standalone worker for <not numbers> with `--slots 1`
    When it is asked for an answer 1 time, which fails with COMPUTE_FAILED
    Then it says of its health that it is healthy
    When it is asked for an answer 1 time, which fails with COMPUTE_FAILED
    Then it says of its health that it is unhealthy
    And it has counted 2 requests as failed

  Scenario: A worker that can't compute is replaced after its second request
    Given a queen and a hive that an operator started
    And somebody watches the hive's events
    When a task is sent {"prompt":"hi","model":"<not numbers>"}
    Then the answer is the error COMPUTE_FAILED
    And its details are {"file":"…/not-numbers.gguf","reason":"the model computed values that are not numbers","model":"<not numbers>"}
    And there is one worker, which is idle
    When a task is sent {"prompt":"hi","model":"<not numbers>"}
    Then the answer is the error COMPUTE_FAILED
    And the hive reported that worker as unhealthy
    And the hive told worker_gone of that worker with
      """
      {"worker_id": "<worker id>", "reason": "it could not compute its last requests", "exit_code": 0,
       "log_tail": <end of its log>, "error": null, "stalled": false}
      """
    When a task is sent {"prompt":"hi","model":"<not numbers>"}
    Then the answer is the error COMPUTE_FAILED
    And another worker has answered, of the same hive

  Scenario Outline: A model file that <how> under a worker
    The bundled model answers from a file that then becomes another model's.
    Given a queen and a hive that an operator started
    And somebody watches the hive's events
    And a file <mine> that is the model <one>
    When a task is sent {"prompt":"hi","model":"<mine>","max_tokens":8,"temperature":0} and answered
    Then the answer is what <one> says
    When the file <mine> becomes the model <other>, <how>
    And a task is sent {"prompt":"hi","model":"<mine>","max_tokens":8,"temperature":0} and answered
    Then the answer is what <other> says
    And the hive told worker_gone of that worker with
      """
      {"worker_id": "<worker id>", "reason": "…/mine.gguf has changed…ended with code 0", "exit_code": 0,
       "log_tail": <end of its log>, "error": null, "stalled": false}
      """

    Examples:
      | how            |
      | is overwritten |
      | is replaced    |

  Scenario: A model file that changes under a standalone worker
    Given a file <mine> that is the model <one>
    And a standalone worker for that file
    When the file <mine> becomes the model <other>, is overwritten
    Then the next request is refused with SHUTTING_DOWN, and a message that names the file
    And the worker ends with code 0, and has logged that message

  Scenario Outline: A model file that is <changed> during an answer
    Given a queen and a hive that an operator started
    And a file <mine> that is the bundled model
    When an answer of <mine> with 2000 tokens is under way
    And the file <mine> is <changed>
    Then the answer breaks off with WORKER_CRASHED, and a message that says that the file has changed

    Examples:
      | changed   |
      | cut short |
      | touched   |

  Scenario: A model file that is replaced during an answer
    Given the setting times.grace_s is 60
    And a queen and a hive that an operator started
    And a file <mine> that is the bundled model
    When an answer of <mine> with 600 tokens is under way
    And the file <mine> becomes the model <one>, is replaced
    Then the answer has all of its 600 tokens

  Scenario: A model that ends llama.cpp
    Nobody knows whether its file is bad.
    Given a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","model":"<crashing>"}
    Then the answer is the error UNSUPPORTED_MODEL_FORMAT
    And its message says that llama.cpp can't load it, with its "llama-graph.cpp", and no line of ours
    And its hint says "download it again"
    And the hive is the same process, and no worker is left

  Scenario: A model that llama.cpp refuses
    Of a file with a known sha256 it is certain that it is not to blame.
    Given the Hub has lab/odd with odd.gguf, the unloadable model
    And a queen and a hive that an operator started
    When a task is sent {"prompt":"hi","model":"hf:lab/odd"}
    Then the answer is the error UNSUPPORTED_MODEL_FORMAT
    And its message says that llama.cpp can't load it, with its "wrong shape", and no line of ours
    And its hint says "The file was whole when it came"
    When a task is sent {"prompt":"hi","model":"<unloadable>"}
    Then the answer is the error MODEL_CORRUPT
