@beyond
Feature: What a queen started on another node ends with it

  Background:
    Given the added node workstation

  Scenario Outline: The <program> is killed in mid-stream
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And the pids of the queen, and of hive and worker on workstation, are noted
    And the <program> is killed
    Then it exits with <code>
    And nothing is running after 10 s

    Examples:
      | program | code |
      | keeper  | -9   |
      | queen   | 1    |
      | hive    | 1    |
      | worker  | 1    |

  Scenario: The SSH connection breaks in mid-stream
    Everything that depends on it ends, on either side, while every other connection still stands.
    Given a persistent queen
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And the pids of the queen, and of hive and worker on workstation, are noted
    And somebody watches the queen's events
    And workstation's SSH server drops all connections
    Then the hive and worker are gone after 10 s
    And the queen told its watchers that it lost the hive on workstation
    And it exits with 1
    And it is a clear message with a next step
    And nothing is running on workstation after 0 s
    And the queen is still the same process
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0

  Scenario Outline: What a worker wrote last is told though no hive is left to tell it: <what>
    Given a persistent queen
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0 --json`
    And tokens are arriving
    And the pids of the queen, and of hive and worker on workstation, are noted
    And <what>
    Then it exits with 1
    And the error is WORKER_CRASHED
    And standard error says "<why>"
    And the next step says "Its log, and the hive's, are in ~/.rbee/logs on workstation"
    And the error has the worker's last lines, and so has the queen's log

    Examples:
      | what                                          | why                                                         |
      | the hive is killed                            | the hive on workstation ended with code -9                  |
      | workstation's SSH server drops all connections | the connection to workstation was lost, and its hive with it |

  Scenario: The queen gets SIGTERM in mid-stream
    Given the setting times.grace_s is 2
    And on workstation the setting times.grace_s is 2
    And a queen that an operator started
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 4000 --temperature 0 --json`
    And tokens are arriving
    And the pids of the queen, and of hive and worker on workstation, are noted
    And the endings of all three are watched
    And the queen gets SIGTERM
    Then it exits with 1
    And the error is SHUTTING_DOWN
    And tokens came for 2 s after that, and no longer
    And the queen exits with 0
    And worker and hive ended before the queen, none of them by SIGKILL
    And nothing is running

  Scenario: Under a persistent queen the hive stays, until the queen is told to stop
    Given a persistent queen
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the pids of the queen, and of hive and worker on workstation, are noted
    And I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And the queen, and hive and worker on workstation, are still the same processes
    When I run `rbee-keeper hive status --node workstation`
    Then it exits with 0
    When the endings of all three are watched
    And I run `rbee-keeper daemon stop`
    Then it exits with 0
    And it says that the queen stopped, with 1 hive and 1 worker
    And worker and hive ended before the queen, each with 0
    And nothing is running

  Scenario: The hive there hangs when the queen is told to stop
    Given the setting times.grace_s is 1
    And on workstation the setting times.grace_s is 1
    And a persistent queen
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the pids of the queen, and of hive and worker on workstation, are noted
    And the hive hangs
    And I run `rbee-keeper daemon stop`
    Then it exits with 0
    And standard error says "was killed"
    And nothing is running after 10 s
