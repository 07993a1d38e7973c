@setup
Feature: The registry can be listed and cleaned up

  @t001-04
  Scenario: Each of two nodes is listed
    Given the environment has TZ=LAB-9
    And the node blep, whose SSH server is at port 2222
    And the node workstation
    And on blep the programs are below the folder /home/lab and nowhere else
    And on workstation the programs are below the folder /home/rbee and nowhere else
    And on workstation the rbee-hive below the folder /home/rbee finds 2 cards for cuda
    And somebody has added workstation with --ssh-user vince --install-path ~/rbee
    And an editor has left the last line of ~/.rbee/known_hosts without its end
    And somebody has added blep with --ssh-port 2222 --install-path ~/lab
    When I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And standard output has the rows of blep and workstation, in this order
    And standard output has a row for blep, with blep.home.arpa:2222, reachable, ~/lab, cpu and this minute, 9 hours ahead of UTC
    And standard output has a row for workstation, with vince@workstation.home.arpa, reachable, ~/rbee, cuda,cpu and this minute, 9 hours ahead of UTC
    And ~/.rbee/known_hosts has the key of blep, writable only by its owner
    And ~/.rbee/known_hosts has the key of workstation, writable only by its owner
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
    And the node blep
    And somebody has added blep
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 0
    And standard output says "workstation is removed."
    And the registry has one row, of blep, with
      | column | value     |
      | status | reachable |
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And standard error says "There is no node named 'workstation'"
    When I run `rbee-keeper setup wake --node blep`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "The MAC address of blep is not known"
    And the next step says "--mac"
    When I run `rbee-keeper setup add-node --name attic --ssh-host blep.home.arpa --hive-port 9300`
    Then it exits with 0
    When I run `rbee-keeper setup remove-node --name blep.home.arpa`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And standard error says nothing of "add-node"
    When I run `rbee-keeper setup remove-node --name attic`
    Then it exits with 0
    And the registry has one row, of blep, with
      | column    | value |
      | hive_port | 9200  |
    When I run `rbee-keeper setup remove-node --name blep.home.arpa`
    Then it exits with 0
    And standard output says "blep is removed."
    And the registry has no row

  @t001-06 @critical
  Scenario: An unknown node: the error says how to add it
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is NODE_NOT_FOUND
    And standard error says "workstation"
    And standard error says "rbee-keeper setup add-node --name workstation"
    And standard output is empty
    And nothing is running
