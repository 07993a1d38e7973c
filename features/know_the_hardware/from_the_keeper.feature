@beyond
Feature: What a machine can compute on, from the keeper

  Scenario Outline: For this machine it says what rbee-hive says
    When I run `rbee-hive detect <flags>`
    And I run `rbee-keeper detect <flags>`
    Then it exits with 0
    And it printed the same as the previous run, apart from free memory

    Examples:
      | flags  |
      |        |
      | --json |

  Scenario: For a node
    Given the added node workstation
    When I run `rbee-keeper detect --node workstation`
    Then it exits with 0
    And it describes workstation: its rbee, the CPU and this machine's memory
    And nothing is running
