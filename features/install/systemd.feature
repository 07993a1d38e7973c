@install @beyond
Feature: Units for systemd: what ends with a daemon, and what does not
  systemd is played by the harness: it starts the words of ExecStart in an almost empty environment,
  and stops a unit as KillMode=mixed and TimeoutStopSec say: TERM to the first process, and KILL to
  whatever is left when that has ended, or when the time is over.

  Scenario: A queen with a hive of its own unit: each stops alone
    Given units written by `rbee-keeper install --systemd`
    And systemd has started rbee-hive and queen-rbee
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When somebody notes the pids of queen, hive and worker
    And systemd stops queen-rbee
    Then it ended by itself, with 0, and nothing of it had to be killed
    And the queen is gone, and hive and worker are the same processes
    When systemd starts queen-rbee
    Then the queen lists that worker as idle
    When systemd stops rbee-hive
    Then it ended by itself, with 0, and nothing of it had to be killed
    When systemd stops queen-rbee
    Then it ended by itself, with 0, and nothing of it had to be killed
    And nothing is running

  Scenario: A queen that started her hive: all ends in order, within the unit's time
    Given units written by `rbee-keeper install --systemd`
    And systemd has started queen-rbee
    And a long answer streams
    When systemd stops queen-rbee
    Then it ended by itself, with 0, and nothing of it had to be killed
    And nothing is running

  Scenario: The units' time follows the graces that are set
    Given the setting times.grace_s is 20
    And units written by `rbee-keeper install --systemd`
    Then queen-rbee has 60 s to end, and some air
    And rbee-hive has 40 s to end, and some air

  Scenario: A unit of somebody else is left alone, one of ours is brought up to date
    Given units written by `rbee-keeper install --systemd`
    And the unit rbee-hive is one that somebody else wrote
    And the setting times.grace_s is 20
    When I run `rbee-keeper install --systemd`
    Then it exits with 1
    And standard error says "rbee-hive.service was written by somebody else, and is left alone"
    And the unit rbee-hive is as it was
    And queen-rbee has 60 s to end, and some air

  @systemd
  Scenario Outline: systemd has nothing to say about them: <flags>
    When I run `rbee-keeper install --systemd <flags>`
    Then it exits with 0
    And systemd-analyze finds nothing wrong with the <kind> units in <folder>

    Examples:
      | flags  | kind | folder                      |
      | --user | user | <home>/.config/systemd/user |

    @mounts
    Examples: of a system
      | flags                        | kind   | folder                          |
      | --system --root <home>/image | system | <home>/image/etc/systemd/system |
