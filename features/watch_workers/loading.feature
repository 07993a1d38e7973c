Feature: A worker reports how far it has loaded

  @t001-30
  Scenario: Asked while it loads
    Given the setting worker.mmap is false
    And a hive that an operator started
    When the hive is asked to spawn a worker for <large> on cpu 0
    And the worker is asked whether it is ready
    Then it says that it is loading, and where to follow its progress
    And the stream there emits loading events
    And its health is healthy, without a model
    When the worker is sent a prompt of 2 words
    Then the answer is 503 with the error ALL_SLOTS_BUSY
    And its details are {"slots_total":4,"slots_busy":4,"waiting":0}
    When the worker becomes idle
    Then its health is healthy, with a model

  @t001-31
  Scenario Outline: Layers rise until it is ready, with mmap = <mmap>
    Given the setting worker.mmap is <mmap>
    And a model <unread>, as <large>, of which the system has read nothing
    And a hive that an operator started
    When the hive is asked to spawn a worker for <unread> on cpu 0
    And somebody follows its loading progress
    Then the layers of <large> are reported one after the other, with the MB that they take
    And the stream ends with ready and [DONE]
    When somebody follows its loading progress
    Then the stream has nothing but ready and [DONE]
    And the worker has its file <in memory>

    Examples:
      | mmap  | in memory |
      | false | copied    |
      | true  | mapped    |

  @t001-31
  Scenario: A bar on the terminal while a model loads
    Given the setting worker.mmap is false
    When I type `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 --temperature 0` on a terminal
    Then it exits there with 0
    And the terminal showed a bar that moved while the model was loaded

  @t001-33
  Scenario: Loading that stalls is given up
    Given the setting worker.mmap is false
    And the setting hive.loading_stall_s is 2
    And a persistent queen
    When I start `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 --temperature 0`
    And the worker is stopped while some of its layers are loaded and others are not
    And somebody watches the hive's events
    Then the queen lists the task as starting on localhost
    And it is told to stop at least 2 s after its last progress, and not much later
    And it exits with 1
    And the error is LOADING_TIMEOUT
    And it says how many of how many layers are loaded, as the worker last reported
    And the hive told worker_gone of that worker with
      """
      {"worker_id": "<worker id>", "reason": "…no progress for 2 s…", "exit_code": -9,
       "log_tail": <end of its log>, "error": null, "stalled": true}
      """
    And the next step names the worker's log and the node "localhost"
    And the hive is still the same process and lists no worker

  @beyond
  Scenario: A load that never begins is given up, too
    Given the setting worker.mmap is false
    And the setting hive.loading_stall_s is 2
    And the setting hive.standby_workers is 0
    And a hive that an operator started
    And somebody watches the hive's events
    When the hive is asked to spawn a worker for <large> on cpu 0
    And the worker hangs before its load has begun
    Then the hive reports that it is gone, killed, since its load made no progress for 2 s

  @beyond
  Scenario: A load that pauses, and goes on each time before the limit, is not given up
    Nor is the worker idle before it is loaded.
    Given the setting worker.mmap is false
    And the setting hive.loading_stall_s is 3
    And the setting hive.idle_timeout_s is 4
    And a hive that an operator started
    When the hive is asked to spawn a worker for <large> on cpu 0
    And its load pauses 3 times for 1.2 s, with progress in between
    Then the worker becomes idle
    And it is still the same process
    And 2 s after that the worker is still there

  @beyond
  Scenario Outline: A client that leaves in mid-load, with end_with_reader <asked>
    Given the setting worker.mmap is false
    And a hive that an operator started
    When a client follows the start of a worker {"model":"<large>","end_with_reader":<asked>}
    And it leaves while some of the layers are loaded
    Then the worker <ends or stays>

    Examples:
      | asked | ends or stays                                              |
      | true  | is told to end within 5 s, and the hive lists it no longer |
      | false | becomes idle                                               |

  @beyond
  Scenario: A worker whose ready callback is lost is listed after three seconds, while it loads
    Given the setting worker.mmap is false
    And a worker's command that never calls its hive back
    And a hive that an operator started
    When the hive is asked to spawn a worker for <large> on cpu 0
    And the worker hangs
    Then the hive lists it as loading within 5 s
    When the worker goes on
    Then the worker becomes idle

  @beyond
  Scenario: Who follows a load that fails is told why
    No llama.cpp here has a card, which is only found out once the file has been read.
    Given a model <unread>, as <large>, of which the system has read nothing
    When a worker for <unread> is started by hand on sycl, and its load is followed
    Then the stream ends with the error BACKEND_UNAVAILABLE and [DONE]

  @t001-32
  Scenario: Asked when it is ready
    Given the setting worker.threads is 12
    And a hive that an operator started
    When the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0
    And the worker becomes idle
    And the worker is asked whether it is ready
    Then it says that it is ready, idle and has its model loaded
    When the worker is asked to infer 5 tokens
    Then 5 tokens come from it, then done and [DONE]
    And the worker computes with 12 threads
    When the worker is asked to infer without an end
    And the worker is asked whether it is ready
    Then it says that it is ready, busy and has its model loaded
