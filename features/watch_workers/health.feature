Feature: A worker that does not answer is seen, and given up

  @t001-47 @lifecycle
  Scenario: A first miss is shown, three remove the worker, and the hive lives
    Given the setting hive.health_interval_s is 1
    And a queen that lasts, with a worker that has answered once
    And somebody watches the hive's events
    Then the worker's last_health moves on, and its last_activity does not
    When the worker stands still
    Then the hive lists it as unhealthy within 3 s
    And the queen lists that worker as unhealthy
    And it is told to go not before 2 more health checks
    And the hive told that the worker is gone, and that it did not answer its health checks
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered

  @beyond
  Scenario: A worker that answers again is well again
    Given the setting hive.health_interval_s is 1
    And the setting hive.health_misses is 30
    And a queen that lasts, with a worker that has answered once
    When the worker stands still
    Then the hive lists it as unhealthy within 3 s
    When the worker goes on
    Then the worker becomes idle
    And queen, hive and worker are still the same processes
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the same worker answered
