@beyond
Feature: What a machine can compute on, asked by the keeper

  Scenario Outline: Of this machine it says what rbee-hive says
    When I run `rbee-hive detect <flags>`
    And I run `rbee-keeper detect <flags>`
    Then it exits with 0
    And it said the same as the run before, but for what is free

    Examples:
      | flags  |
      |        |
      | --json |

  Scenario: Of a node
    Given the added node workstation
    When I run `rbee-keeper detect --node workstation`
    Then it exits with 0
    And standard output says "workstation"
    And standard output says "cpu"
    And nothing is running
