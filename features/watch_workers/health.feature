Feature: A worker that does not answer is noticed, and removed

  @t001-47 @lifecycle
  Scenario: A first miss is shown, three remove the worker, and the hive lives on
    Given the setting hive.health_interval_s is 1
    And a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    Then the worker's last_health moves on, and its last_activity does not
    When the worker hangs
    Then the hive lists it as unhealthy within 3 s
    And the queen lists that worker as unhealthy
    And it is told to stop, not before 2 more health checks
    And the hive reported that the worker is gone, and that it did not answer its health checks
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered

  @beyond
  Scenario: A worker that answers again is healthy again
    Given the setting hive.health_interval_s is 1
    And the setting hive.health_misses is 30
    And a persistent queen, with a worker that has answered once
    When the worker hangs
    Then the hive lists it as unhealthy within 3 s
    When the worker goes on
    Then the worker becomes idle
    And queen, hive and worker are still the same processes
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the same worker answered
