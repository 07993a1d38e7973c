@netns
Feature: A cable is cut

  @beyond
  Scenario: In mid-stream: both sides notice, nothing is left, and afterwards all is well
    Given the node workstation at the end of a cable
    And the lifelines have a heartbeat of 0.5 s and a lease of 3 s, on both sides
    And somebody has added workstation
    And a queen that lasts
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 2000 --temperature 0`
    And the story is arriving
    And the cable is cut
    Then it exits with 1 within 15 s
    And it is a clear message with a next step
    And the text so far is saved, for nobody else to read
    And nothing is running on workstation after 10 s
    When the cable is mended
    And I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario: While nothing is asked: the node is empty after lease and grace
    Given the node workstation at the end of a cable
    And the lifelines have a heartbeat of 0.5 s and a lease of 3 s, on both sides
    And somebody has added workstation
    And a queen that lasts
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0
    When the cable is cut
    Then nothing is running on workstation after 10 s
    When the cable is mended
    And I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario: A short cut is no end
    Given the node workstation at the end of a cable
    And somebody has added workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 100 --temperature 0`
    And the story is arriving
    And the cable is cut for 2 s
    Then it exits with 0
    And nothing is running
