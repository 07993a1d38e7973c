@beyond
Feature: The death of a worker is noticed at once, and nothing of it is left

  Scenario: An idle worker is killed
    Health is checked every 30 s here: a hive that waits for that notices nothing.
    Given a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When the worker is killed
    Then the hive reported within 5 s that the worker is gone
    And the hive told worker_gone of that worker with
      """
      {"worker_id": "<worker id>", "reason": "…signal 9…", "exit_code": -9,
       "log_tail": <end of its log>, "error": null, "stalled": false}
      """
    And the hive reported and logged the worker's last lines
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered
    And it listens on the port of the previous worker

  Scenario: A worker is killed while it loads
    Its model is not to blame: the kernel does this too, when memory is short.
    Given the setting worker.mmap is false
    And a persistent queen
    When I start `rbee-keeper infer --model <large> --prompt hi --max-tokens 1 --temperature 0`
    And the worker is stopped while some of its layers are loaded and others are not
    And the worker is killed
    Then it exits with 1
    And the error is WORKER_CRASHED
    And standard error says "signal 9"
    And the hive is still the same process and lists no worker

  Scenario Outline: A worker with a child that ignores signals is <how>
    Nobody but the hive knows of the child: it ends the whole process group.
    Given a worker's command that starts a child which ignores signals
    And a persistent queen, with a worker that has answered once
    Then the worker's child runs, in the worker's process group
    When the worker <does>
    And the worker is told to shut down through its hive
    Then that took at least <least> s and at most <most> s
    And the worker and child are gone after 1 s
    And the hive is still the same process and lists no worker

    Examples:
      | how           | does         | least | most |
      | ended         | goes on      | 0     | 4    |
      | ended by KILL | hangs        | 5     | 14   |

  Scenario: A worker with a child that ignores signals is killed
    Given a worker's command that starts a child which ignores signals
    And a persistent queen, with a worker that has answered once
    Then the worker's child runs, in the worker's process group
    When the worker is killed
    Then the worker and child are gone after 2 s
    And the hive is still the same process and lists no worker
