@beyond
Feature: A worker that dies is noticed at once, and nothing of it stays

  Scenario: An idle worker is killed
    Health is asked every 30 s here: who waits for that notices nothing.
    Given a queen that lasts, with a worker that has answered once
    And somebody watches the hive's events
    When the worker is killed while the moment is noted
    Then the hive told within 1 s that the worker is gone
    And the hive told that the worker is gone, killed by signal 9
    And what the hive told and what it logged hold the worker's last lines
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered
    And it listens on the port of the one before

  Scenario Outline: A worker with a child that ignores signals is <how>
    Nobody but the hive knows of the child: it ends the whole process group.
    Given a worker's command that starts a child which ignores signals
    And a queen that lasts, with a worker that has answered once
    Then the worker's child runs, in the worker's process group
    When the worker <does>
    And the worker is told to shut down through its hive
    Then the worker and child are gone after <seconds> s
    And the hive is still the same process and lists no worker

    Examples:
      | how           | does         | seconds |
      | ended         | goes on      | 4       |
      | ended by KILL | stands still | 14      |

  Scenario: A worker with a child that ignores signals is killed
    Given a worker's command that starts a child which ignores signals
    And a queen that lasts, with a worker that has answered once
    Then the worker's child runs, in the worker's process group
    When the worker is killed
    Then the worker and child are gone after 2 s
    And the hive is still the same process and lists no worker
