Feature: A worker that does not answer is noticed, and removed

  @t001-47 @lifecycle
  Scenario: A first miss is shown, three remove the worker, and the hive lives on
    Given the setting hive.health_interval_s is 1.5
    And a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    Then they are told first of that worker, as the hive lists it
    And the worker's last_health moves on, and its last_activity does not
    When I run `rbee-keeper worker health --json`
    Then it exits with 0
    And it says when that worker last answered its hive
    When I run `rbee-keeper worker health`
    Then it exits with 0
    And it says the time of that day
    When the worker hangs
    Then the hive lists it as unhealthy within 5 s
    And the queen lists that worker as unhealthy
    And the hive's metrics count 1 unhealthy worker, and no other
    And it is told to stop when 3 health checks have gone unanswered
    And the hive told worker_gone of that worker with
      """
      {"worker_id": "<worker id>", "reason": "…health checks…", "exit_code": -9,
       "log_tail": <end of its log>, "error": null, "stalled": false}
      """
    And the hive is still the same process and lists no worker
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And another worker of the same hive answered

  @beyond @wire
  Scenario: Health is checked at the interval
    Given the setting hive.health_interval_s is 1
    And somebody watches the wire
    And a persistent queen, with a worker that has answered once
    When the hive has asked the worker for its health 4 times
    Then each check came about 1 s after the one before, and was answered as healthy

  @beyond
  Scenario: A worker that answers again is healthy again
    More checks are missed than the default allows.
    Given the setting hive.health_interval_s is 1
    And the setting hive.health_misses is 30
    And a persistent queen, with a worker that has answered once
    When the worker hangs
    Then the hive lists it as unhealthy within 5 s
    When 7 health checks have gone unanswered
    Then the hive lists it as unhealthy within 0 s
    When the worker goes on
    Then the worker becomes idle
    And queen, hive and worker are still the same processes
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the same worker answered

  @beyond
  Scenario: A worker that is loading may miss its health checks
    Reading a model can keep a machine busy: while loading, only a stall counts.
    Given the setting worker.mmap is false
    And the setting hive.health_interval_s is 0.3
    And a hive that an operator started
    And somebody watches the hive's events
    When the hive is asked to spawn a worker for <large> on cpu 0
    And the worker is stopped while some of its layers are loaded and others are not
    And 7 health checks have gone unanswered
    Then the hive lists it as loading within 0 s
    When the worker goes on
    Then the worker becomes idle
    And the hive never reported it as unhealthy
