@beyond
Feature: A pid file is a hint: by now the pid may belong to another program

  Scenario: A queen died, and another program has its pid
    Given a queen and a hive that an operator started
    When the queen dies of SIGKILL
    And the queen's pid file names another program that has its pid now
    And I run `rbee-keeper daemon status`
    Then it exits with 1
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And standard output says "No queen-rbee runs at"
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And the queen that was started is persistent
    And the pid file of the queen names the process that listens at its address, and since when
    And the other program still runs

  Scenario: A queen died, and another program has its pid and its port
    It answers nothing, as a queen that hangs would; only the start time tells them apart.
    Given a queen and a hive that an operator started
    When the queen dies of SIGKILL
    And the queen's pid file names another program that has its pid now, and listens at its address
    And I run `rbee-keeper daemon stop`
    Then it exits with 1
    And the error is ADDRESS_IN_USE
    And the other program still runs
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5`
    Then it exits with 1
    And the error is ADDRESS_IN_USE
    And the other program still runs

  Scenario: A hive died, and another program has its pid
    Given a queen and a hive that an operator started
    When the hive dies of SIGKILL
    And the hive's pid file names another program that has its pid now
    And I run `rbee-keeper hive status --node localhost`
    Then it exits with 1
    And standard output says "stopped"
    When I run `rbee-hive status`
    Then it exits with 1
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the other program still runs

  Scenario: A queen that restarts finds what an operator's hive has
    Given a queen and a hive that an operator started
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And the queen dies of SIGKILL
    And a queen is started
    Then the queen lists that worker as idle
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the worker of the previous run answered
    And "worker startup" is shown as skipped
    And the hive is still the same process, and only the queen is new
