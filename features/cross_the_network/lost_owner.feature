Feature: A program that lost its owner ends, on every machine

  @beyond
  Scenario: All connections of a node break in mid-stream
    Given the added node workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And workstation's SSH server drops all connections
    Then it exits with 1
    And the text so far is saved, readable only by its owner
    And nothing is running on workstation after 10 s
    And nothing is running
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario: The queen is killed, and nobody is left to clean up
    Given the added node workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the queen is killed
    Then it exits with 1
    And the text so far is saved, readable only by its owner
    And nothing is running on workstation after 10 s
    And nothing is running
