@setup
Feature: The registry can be listed and cleaned up

  @t001-04
  Scenario: Each of two nodes is listed
    Given the node blep
    And the node workstation
    And on blep the programs are below the folder /home/lab and nowhere else
    And on workstation the programs are below the folder /home/rbee and nowhere else
    And somebody has added blep with --install-path ~/lab
    And somebody has added workstation with --ssh-user vince --install-path ~/rbee
    When I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And standard output has a row for blep, with blep.home.arpa, reachable, ~/lab, cpu and this minute
    And standard output has a row for workstation, with vince@workstation.home.arpa, reachable, ~/rbee, cpu and this minute
    When I run `rbee-keeper config list-nodes --json`
    Then it exits with 0
    And the JSON on standard output lists what the registry has

  @beyond
  Scenario: No node yet
    When I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And standard output is empty
    And standard error says "rbee-keeper setup add-node"

  @t001-05
  Scenario: A node is removed
    Given the added node workstation
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 0
    And standard output says "workstation is removed."
    And the registry has no row
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And standard error says "workstation"

  @t001-06 @critical
  Scenario: An unknown node: the error says how to add it
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And standard error says "workstation"
    And standard error says "rbee-keeper setup add-node --name workstation"
    And standard output is empty
    And nothing is running
