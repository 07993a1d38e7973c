@netns
Feature: A cable is cut

  @beyond
  Scenario: In mid-stream: both sides notice, nothing is left, and the next command works
    Given the node workstation at the end of a cable
    And the lifelines have a heartbeat of 0.5 s and a lease of 3 s, on both sides
    And somebody has added workstation
    And a persistent queen
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the cable is cut
    Then it exits with 1
    And it ended less than 20 s after that
    And it is a clear message with a next step
    And the text so far is saved, readable only by its owner
    And nothing is running on workstation after 10 s
    When the cable is connected again
    And I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario: While idle: the node is empty after the lease and the grace period
    Given the node workstation at the end of a cable
    And the lifelines have a heartbeat of 0.5 s and a lease of 3 s, on both sides
    And somebody has added workstation
    And a persistent queen
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0
    When the cable is cut
    Then nothing is running on workstation after 10 s
    When the cable is connected again
    And I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario: A short cut ends nothing
    Given the node workstation at the end of a cable
    And somebody has added workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 100 --temperature 0`
    And the story is arriving
    And the cable is cut for 2 s
    Then it exits with 0
    And nothing is running
