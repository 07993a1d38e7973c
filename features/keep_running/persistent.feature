Feature: What was started as persistent stays

  @t001-46 @lifecycle @critical
  Scenario: After the callback the hive lives on, serves, and still applies its rules
    Given the setting hive.health_interval_s is 0.3
    And the setting hive.idle_timeout_s is 3
    And a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    Then the worker's last_health moves on, and its last_activity does not
    And the worker is gone at least 3 s after it answered, and not much longer
    And the idle worker was told to stop, and exited with 0
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0

  @t001-50 @lifecycle @critical
  Scenario: Under a persistent queen, hive and worker outlive the command
    Given a persistent queen
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    Then it exits with 0
    And queen, hive and worker are still the same processes
    And the queen lists that worker as idle

  @t001-52 @lifecycle @critical
  Scenario: What an operator started is used and left alone
    Given a queen and a hive that an operator started
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    Then queen and hive are the operator's
    And nothing but the worker was spawned, by the hive
    And it exits with 0
    And queen, hive and worker are still the same processes

  @beyond
  Scenario: daemon start, an answer, daemon stop
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And it says that the queen was started, and where
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When the pids of queen, hive and worker are noted
    And I run `rbee-keeper status`
    Then it exits with 0
    And it says that the queen runs until told to stop, with one idle worker, 4 of 4 slots free
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running
    When I run `rbee-keeper daemon status`
    Then it exits with 1
    When I run `rbee-keeper daemon status --json`
    Then it exits with 1
    And its JSON says that none runs, and where one would

  @beyond
  Scenario: serve runs a queen in a terminal, until Ctrl+C
    Given the queen's command gives way to others by 3
    When I start `rbee-keeper serve`
    Then it is the queen, at its usual address
    And it gives way to others by 3
    When the keeper gets SIGINT
    Then it exits with 0
    And nothing is running

  @beyond
  Scenario: daemon start twice gives one queen
    Given a persistent queen
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And it says that the queen is running already
    And one queen runs, the same as before

  @beyond
  Scenario: daemon start makes a queen last that another command started for itself
    When I start `rbee-keeper infer --prompt "write a long story" --max-tokens 200 --temperature 0`
    And the story is arriving
    And the pids of queen, hive and worker are noted
    And somebody else runs `rbee-keeper daemon start`
    Then it exits with 0
    And queen, hive and worker are still the same processes
    And the queen that was started is persistent
