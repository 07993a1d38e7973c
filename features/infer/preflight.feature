Feature: Before the work starts, the queen looks at what is there

  @t001-09
  Scenario: No worker is registered
    Given a queen and a hive that an operator started
    When the hive is asked for its workers
    Then the reply is exactly {"workers": []}
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the phases are told in order, "pool preflight" right after "worker registry"

  @t001-10
  Scenario: An idle worker with the model is used at once
    Given a queen that lasts, with a worker that has answered once
    And somebody watches the hive's events
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And the same worker answered
    And nothing was spawned
    And the hive told of no other worker and of no download

  @t001-12
  Scenario: The hive says how it is
    Given a queen and a hive that an operator started
    When the hive is asked for its health
    Then the reply is 200 with status "alive", api_version "v1" and the version of `rbee-hive --version`
    And the process that answered is the hive that was started
