Feature: A node of which not everything can be reached

  @beyond
  Scenario: What is in the way is told, with the way round it
    Given the node workstation behind a router that lets only SSH through
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And PORT_BLOCKED is told
    And the next step names tunnel
    And the next step names 9200
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
  Scenario: The hive can be reached, its worker is refused: what is in the way is told
    Given the node workstation behind a router that lets SSH and port 9200 through
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And PORT_BLOCKED is told
    And the next step names 8001
    And the next step names tunnel
    And nothing is running

  @beyond
  Scenario: The hive can be reached, its worker is not even refused: it is told in good time
    Given the node workstation behind a router that lets SSH and port 9200 through and swallows what comes to 8001
    And the setting times.connect_s is 1
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And PORT_BLOCKED is told
    And the next step names 8001
    And it took less than 20 s
    And nothing is running
