Feature: A node that can be reached only in part

  @beyond
  Scenario: The error names what is in the way, and the way round it
    Given the node workstation behind a router that lets only SSH through
    And somebody has added workstation with --hive-port 9311
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is PORT_BLOCKED
    And the next step says "tunnel"
    And the next step says "port 9311 on <router address>"
    And nothing is running

  @beyond
  Scenario: The way round it
    Given the node workstation behind a router that lets only SSH through
    And a free port of this machine, <free port>
    And somebody has added workstation with --tunnel --hive-port <free port>
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    And standard output holds the story and nothing else
    And nothing is running

  @beyond
  Scenario: The hive can be reached but its worker is refused: the error names what is in the way
    Given the node workstation behind a router that lets SSH and port 9200 through
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is PORT_BLOCKED
    And the next step says "port 8001 on <router address>"
    And the next step says "tunnel"
    And nothing is running

  @beyond
  Scenario: The hive can be reached but its worker does not answer: the error comes in good time
    Given the node workstation behind a router that lets SSH and port 9200 through and swallows what comes to 8001
    And the setting times.connect_s is 1
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is PORT_BLOCKED
    And the next step says "8001"
    And it took less than 20 s
    And nothing is running
