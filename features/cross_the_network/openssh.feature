@sshd
Feature: With OpenSSH's own server

  @beyond
  Scenario: A node is added, infers, and is left as it was
    Given the node workstation with OpenSSH
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And the SSH server of workstation let somebody in with the person's key
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then the hive on workstation answers at its own address
    And it exits with 0
    And standard output holds the story and nothing else
    And nothing is running

  @beyond
  Scenario: A queen that is killed takes with it what it owns on the node
    Given the node workstation with OpenSSH
    And somebody has added workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 600 --temperature 0`
    And the story is arriving
    And the queen is killed
    Then it exits with 1
    And nothing is running on workstation after 10 s
    And nothing is running

  @beyond
  Scenario: The sessions of sshd are cut in mid-stream
    Given the node workstation with OpenSSH
    And somebody has added workstation
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 600 --temperature 0`
    And the story is arriving
    And workstation's SSH server drops all connections
    Then it exits with 1
    And nothing is running on workstation after 10 s
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5 --temperature 0`
    Then it exits with 0
    And nothing is running
