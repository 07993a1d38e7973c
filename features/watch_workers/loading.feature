Feature: A worker reports how far it has loaded

  @t001-30
  Scenario: Asked while it loads
    Given the setting worker.mmap is false
    And a hive that an operator started
    When the hive is asked to spawn a worker for <large> on cpu 0
    And the worker is asked whether it is ready
    Then it says that it is loading, and where to follow its progress
    And the stream there emits loading events

  @t001-31
  Scenario: Layers rise until it is ready
    Given the setting worker.mmap is false
    And a hive that an operator started
    When the hive is asked to spawn a worker for <large> on cpu 0
    And somebody follows its loading progress
    Then the layers are reported one after the other, up to all of them
    And the stream ends with ready and [DONE]

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
    Then it exits with 1
    And the error is LOADING_TIMEOUT
    And it says how many of how many layers are loaded, as the worker last reported
    And the next step names the worker's log and the node "localhost"
    And the hive is still the same process and lists no worker

  @t001-32
  Scenario: Asked when it is ready
    Given a hive that an operator started
    When the hive is asked to spawn a worker for bundled:smollm2-135m-instruct on cpu 0
    And the worker becomes idle
    And the worker is asked whether it is ready
    Then it says that it is ready, idle and has its model loaded
    When the worker is asked to infer 5 tokens
    Then 5 tokens come from it, then done and [DONE]
