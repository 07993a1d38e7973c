Feature: The lines that hives and workers log, as they log them

  @t001-62 @cli
  Scenario: Lines that are written after the command began, until Ctrl+C
    Given the added node workstation
    And a persistent queen
    And somebody else runs `rbee-keeper hive start --node workstation`
    When I start `rbee-keeper logs --node workstation --follow`
    And its first lines appear
    And somebody else runs `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5`
    Then new lines of rbee-hive and of its new worker appear
    When the keeper gets SIGINT
    Then it exits with 130
    And standard error is empty
    And every line of standard output names its source
    And it shows the log of rbee-hive on workstation whole, and each line once
    And it shows the log of the worker on workstation whole, and each line once

  @beyond
  Scenario: Only the last lines
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper logs --node localhost --lines 3`
    Then it exits with 0
    And it shows the last 3 lines of what hive and worker have logged
    When I run `rbee-keeper logs --node localhost --lines 3 --json`
    Then it exits with 0
    And the JSON lines have the same 3 lines, each with source, node and time

  @beyond
  Scenario: The queen's hive dies, and another is started
    Given a persistent queen, with a worker that has answered once
    When I start `rbee-keeper logs --node localhost --follow`
    And its first lines appear
    And the hive is killed
    Then standard error soon says "no hive runs on localhost now"
    When somebody else runs `rbee-keeper infer --prompt "write a short story" --max-tokens 5`
    Then standard error soon says "a hive runs on localhost: its log goes on"
    And the log of the new hive is shown
    When the keeper gets SIGINT
    Then it exits with 130
    And it shows the log of rbee-hive on localhost whole, and each line once

  @beyond
  Scenario: The logs of all nodes, including one whose hive is started later
    Given the added node workstation
    And a persistent queen, with a worker that has answered once
    When I start `rbee-keeper logs --follow`
    And its first lines appear
    And somebody else runs `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5`
    Then standard output soon says "workstation/rbee-hive | "
    And standard output soon says "workstation/worker-"
    When the keeper gets SIGINT
    Then it exits with 130
    And every line of standard output names its source
    When I run `rbee-keeper logs --lines 2`
    Then it exits with 0
    And it shows 2 lines of localhost, then 2 of workstation

  @beyond
  Scenario: An operator restarts a hive
    Given a queen and a hive that an operator started
    When I start `rbee-keeper logs --node localhost --follow`
    And its first lines appear
    And the hive is restarted
    Then what both hives said on standard error is shown, and each line once

  @beyond
  Scenario: No daemon runs
    When I run `rbee-keeper logs --node localhost`
    Then it exits with 1
    And it is a clear message with a next step
    And the next step says "rbee-keeper hive start --node localhost"
    And nothing is running

  @beyond
  Scenario: The reader has seen enough
    Given a persistent queen, with a worker that has answered once
    When I run in a shell `rbee-keeper logs --node localhost --follow --lines 1 | head -1; exit ${PIPESTATUS[0]}`
    Then it exits with 141
    And it took less than 10 s
    And standard error is empty
    And standard output is one line
    And every line of standard output names its source

  @beyond
  Scenario: An impossible number
    When I run `rbee-keeper logs --node localhost --lines 10001`
    Then it exits with 2
