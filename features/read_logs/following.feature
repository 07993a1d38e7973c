Feature: What hives and workers log, as they log it

  @t001-62 @cli
  Scenario: Lines that are written after it began, until Ctrl+C
    Given the added node workstation
    And a queen that lasts
    And somebody has run `rbee-keeper hive start --node workstation`
    When I start `rbee-keeper logs --node workstation --follow`
    And its first lines are there
    And somebody else runs `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5`
    Then lines of rbee-hive and of its new worker appear, that were not there when it began
    When the keeper gets SIGINT
    Then it exits with 130
    And standard error is empty
    And every line of standard output says who wrote it
    And it shows the log of rbee-hive on workstation whole, and each line once
    And it shows the log of the worker on workstation whole, and each line once

  @beyond
  Scenario: The last lines, and no more
    Given a queen that lasts, with a worker that has answered once
    When I run `rbee-keeper logs --node localhost --lines 3`
    Then it exits with 0
    And it shows the last 3 lines of what hive and worker have logged
    When I run `rbee-keeper logs --node localhost --lines 3 --json`
    Then it exits with 0
    And the JSON lines have the same 3 lines, each with source, node and time

  @beyond
  Scenario: The hive of this queen dies, and another comes
    Given a queen that lasts, with a worker that has answered once
    When I start `rbee-keeper logs --node localhost --follow`
    And its first lines are there
    And the hive is killed
    Then standard error says in time "no hive runs on localhost now"
    When somebody else runs `rbee-keeper infer --prompt "write a short story" --max-tokens 5`
    Then standard error says in time "a hive runs on localhost: its log goes on"
    And the log of the hive that came is shown
    When the keeper gets SIGINT
    Then it exits with 130
    And it shows the log of rbee-hive whole, and each line once

  @beyond
  Scenario: Of all nodes, also of one whose hive is started later
    Given the added node workstation
    And a queen that lasts, with a worker that has answered once
    When I start `rbee-keeper logs --follow`
    And its first lines are there
    And somebody else runs `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5`
    Then standard output says in time "workstation/rbee-hive | "
    And standard output says in time "workstation/worker-"
    When the keeper gets SIGINT
    Then it exits with 130
    And every line of standard output says who wrote it

  @beyond
  Scenario: An operator starts a hive again
    Given a queen and a hive that an operator started
    When I start `rbee-keeper logs --node localhost --follow`
    And its first lines are there
    And the hive is restarted
    Then what both hives said on standard error is shown, and each line once

  @beyond
  Scenario: Nothing runs that could tell
    When I run `rbee-keeper logs --node localhost`
    Then it exits with 1
    And it is a clear message with a next step
    And the next step says "rbee-keeper hive start --node localhost"
    And nothing is running

  @beyond
  Scenario: Whoever reads it has seen enough
    Given a queen that lasts, with a worker that has answered once
    When I run `rbee-keeper logs --node localhost --follow --lines 1` with `head -1` behind it
    Then it ended within 10 s with 141, and said nothing on standard error
    And one line came out

  @beyond
  Scenario: A number that can't be
    When I run `rbee-keeper logs --node localhost --lines 10001`
    Then it exits with 2
