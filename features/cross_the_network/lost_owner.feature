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

  @beyond
  Scenario: The queen hangs, and its heartbeats stop: the hive ends with the lease, not before
    Given the added node workstation
    And the lifelines have a heartbeat of 0.3 s and a lease of 2 s, on both sides
    And a persistent queen
    When I run `rbee-keeper hive start --node workstation`
    Then it exits with 0
    And the hive on workstation was told that this queen owns it
    And it logs from its first line on under the correlation id of that command
    When the lifeline to workstation has had 10 heartbeats, 0.3 s apart
    And the queen hangs
    Then the hive on workstation ends 2 s after the last heartbeat
    And its log says that its owner is gone
    And nothing is running on workstation after 2 s
    When the queen goes on
    And I run `rbee-keeper hive status --node workstation`
    Then it exits with 1
    And standard output has the row workstation, stopped, -, -, -, -
