@t001-53
Feature: Every error has one shape, even when something ends
  The codes that need a program to end, to hang or to break; and those that never cross HTTP, where
  the text that the person sees is checked.

  Scenario: LOADING_TIMEOUT
    Given the setting worker.mmap is false
    And the setting hive.loading_stall_s is 2
    And a persistent queen
    When a client sends a task {"prompt":"hi","model":"<large>"}
    And the worker is stopped while some of its layers are loaded and others are not
    Then the stream ends with the error LOADING_TIMEOUT and [DONE]
    And its details are exactly node, state, layers_loaded, layers_total
    And the details are those of the worker's last progress

  Scenario: LOADING_TIMEOUT on a node
    Given the added node workstation
    And on workstation the setting worker.mmap is false
    And on workstation the setting hive.loading_stall_s is 2
    And a persistent queen
    When I start `rbee-keeper infer --node workstation --model <large> --prompt hi --json`
    And the worker on workstation is stopped while some of its layers are loaded and others are not
    Then it exits with 1
    And the error is LOADING_TIMEOUT
    And its details are those of the worker's last progress on workstation
    And the error and its details name the node workstation
    And standard error says "The worker on workstation was given up"
    And the next step says "rbee-keeper logs --node workstation"
    And the next step names the worker's log and the node "workstation"

  Scenario: SHUTTING_DOWN for a client that is being answered
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the queen is told to shut down
    Then the stream ends with the error SHUTTING_DOWN and [DONE]
    And it has no details

  Scenario: SHUTTING_DOWN for a client that comes during the shutdown
    Given a persistent queen, with a worker that has answered once
    And somebody has a connection to the hive
    When the worker hangs
    And the hive is told to shut down
    And that connection sees that the hive is draining
    And that connection sends POST /v1/models/verify {"model":"smollm2"}
    Then the answer is 503 with the error SHUTTING_DOWN
    And it has no details
    And it says when to try again

  Scenario: REQUEST_CANCELED
    Given a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And that task is deleted
    Then the stream ends with the error REQUEST_CANCELED and [DONE]
    And it has no details

  Scenario: ALL_SLOTS_BUSY
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    When a task for 2000 tokens streams
    And the worker is sent a prompt of 2 words
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And its details are {"slots_total":1,"slots_busy":1,"waiting":0}

  Scenario: SSH_CONNECTION_FAILED while a node is being added
    Given the node workstation
    And workstation's SSH server rejects every key
    And a persistent queen
    When the queen is sent the addition of workstation, whose host key is trusted
    Then the answer is 400 with the error SSH_CONNECTION_FAILED
    And its details are {"host":"<workstation address>","port":<workstation port>,"reason":"the key was rejected…","agent":false,"command":"ssh workstation.home.arpa"}

  Scenario: INTERNAL
    The hive can't open any file, not even one of /proc: a fault that nobody wrote an error for.
    Given a hive that an operator started
    And somebody has a connection to the hive
    When the hive may open no more files
    And that connection sends GET /v1/node
    Then the answer is 500 with the error INTERNAL
    And its details are exactly correlation_id
    And that correlation id is the reply's, and the hive logged the cause under it
    And the answer has no traceback
    When the hive may open files again
    And that connection sees that the hive is running

  Scenario: STREAM_TRUNCATED, as a person sees it
    Given a persistent queen, with a worker that has answered once
    And a proxy between keeper and queen
    And the proxy ends before token number 6
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 1
    And the error is STREAM_TRUNCATED
    And standard error says "5 tokens had come"
    And it is a clear message with a next step

  Scenario: ADDRESS_IN_USE, as a person sees it
    Given a hive that an operator started
    When I run `rbee-hive daemon`
    Then it exits with 1
    And the error is ADDRESS_IN_USE
    And standard error says "<hive address>:9200"
    And standard error names the hive as the holder
    And it is a clear message with a next step

  Scenario: CONFIG_INVALID, STATE_NOT_WRITABLE and PROGRAM_FAILED, as a person sees them
    Given a config file with the line `[worker] slot = 2`
    When I run `rbee-keeper daemon status`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And it is a clear message with a next step
    Given a config file with the line `[queen] command = "/nowhere/queen-rbee"`
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "/nowhere/queen-rbee"
    And standard error says "No such file or directory"
    And it is a clear message with a next step
    Given HOME is a file
    When I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And it is a clear message with a next step
