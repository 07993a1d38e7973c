@beyond
Feature: daemon stop ends what the queen owns, and says what it saw end

  Scenario: A hive and two workers
    Given a persistent queen, with a worker that has answered once
    And the hive has 2 workers
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And it says that the queen stopped, with 1 hive and 2 workers
    And nothing is running

  Scenario: A hive that was only prepared
    Given the setting hive.standby_workers is 0
    When an operator starts `queen-rbee daemon --with-hive`
    Then one hive waits below it, and listens nowhere
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running

  Scenario: There is no queen
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And standard output says "No queen-rbee runs at"

  Scenario: The hive is an operator's
    Given a queen and a hive that an operator started
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    Given somebody watches the queen's events
    When the pids of queen, hive and worker are noted
    And I run `rbee-keeper daemon stop`
    Then it exits with 0
    And it says that the queen stopped, with 0 hives and 0 workers
    And it told its watchers that it left a hive with 1 worker on localhost
    And standard error says "keeps running"
    And the queen is gone, and hive and worker are the same processes

  Scenario: The hive hangs
    Given the setting times.grace_s is 1
    And a persistent queen, with a worker that has answered once
    When the hive hangs
    And I run `rbee-keeper daemon stop`
    Then it exits with 0
    And standard error says "was killed"
    And nothing is running after 5 s

  Scenario: The queen hangs
    It can't be asked any more: its pid file names it, and its lifelines do the rest.
    Given the setting times.grace_s is 1
    And a persistent queen, with a worker that has answered once
    When the queen hangs
    And I run `rbee-keeper daemon stop`
    Then it exits with 0
    And standard error says "does not answer"
    And it says that the queen was killed
    And nothing is running after 10 s
    When I run `rbee-keeper daemon start`
    Then it exits with 0
    And the queen that was started is persistent

  Scenario: Another command meets a queen that hangs
    Given a persistent queen, with a worker that has answered once
    When the queen hangs
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5`
    Then it exits with 1
    And it is a clear message with a next step
    And standard error says "rbee-keeper daemon stop"
    When the queen goes on
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5`
    Then it exits with 0
