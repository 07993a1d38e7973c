@beyond
Feature: A request says how long its model may stay in memory

  Scenario Outline: In place of the setting: <keep_alive>
    Given the setting hive.idle_timeout_s is 60
    And a queen and a hive that an operator started
    When a task with keep_alive <keep_alive> has been answered
    Then the worker is gone at least <seconds> s after that, and not much longer

    Examples:
      | keep_alive | seconds |
      | 0          | 0       |
      | 1.5        | 1.5     |
      | "0.05m"    | 3       |

  Scenario: A negative time: the model stays until another request says otherwise
    Given the setting hive.idle_timeout_s is 1
    And a queen and a hive that an operator started
    When a task with keep_alive -1 has been answered
    Then 3 s after that the worker is still there
    When a task without keep_alive has been answered
    Then the worker is gone at least 1 s after that, and not much longer
    When a task is sent {"prompt": "hi", "keep_alive": "soon"}
    Then the answer is 400 with the error INVALID_REQUEST
    And it names the field keep_alive

  Scenario: With 0 the model is gone when the command returns
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper infer --quiet --prompt hi --max-tokens 2 --keep-alive 0`
    Then it exits with 0
    And the queen lists no worker
    When I run `rbee-keeper infer --quiet --prompt hi --max-tokens 2 --keep-alive 0`
    Then it exits with 0
    And the queen lists no worker
    When I run `rbee-keeper stop nope`
    Then it exits with 1
    And standard error says "Error [INVALID_REQUEST]: Nothing to stop: no worker holds 'nope'."
    When I run `rbee-keeper worker stop --id nope`
    Then it exits with 1
    And standard error says "Error [INVALID_REQUEST]: There is no worker nope on any node."
    When I run `rbee-keeper infer --prompt hi --seed -2`
    Then it exits with 2
    And standard error says "--seed must be a whole number from 0 to 4294967294, or -1 for any, got -2."

  Scenario: By a flag of infer
    Given the setting hive.idle_timeout_s is 60
    And a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When I run `rbee-keeper infer --prompt hi --max-tokens 2 --temperature 0 --json --keep-alive 2s`
    Then it exits with 0
    And the idle worker was told to stop, and exited with 0
    And it was idle for at least 2 s, and not much longer
