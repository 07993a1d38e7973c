@beyond
Feature: A node may stand in the config file
  What the file says of a node overrides the registry.

  Scenario: A node is written to the file, used, changed and removed
    Given the node workstation, whose SSH server is at port 2222
    And the person's only key is ~/.ssh/lab
    And the person's ssh knows the key of workstation
    And these lines are added to the config file: [log] level = "info" # as on every machine
    And the config file is a link to one that its group may read
    When the contents of the config file are noted
    And I run `rbee-keeper config set-ssh --node workstation --host workstation.home.arpa --port 2222 --user vince --key ~/.ssh/lab`
    Then it exits with 0
    And the config file has what was noted, and for the node workstation
      | key          | value                 |
      | ssh_host     | workstation.home.arpa |
      | ssh_port     | 2222                  |
      | ssh_user     | vince                 |
      | ssh_key_path | <home>/.ssh/lab       |
    And the config file is still that link, to one that its group may read
    And standard output says "workstation is written to <home>/.config/rbee/config.toml."
    And standard error says "Try it: rbee-keeper hive status --node workstation"
    And the SSH server of workstation saw no connection
    When I run `rbee-keeper config list-nodes`
    Then it exits with 0
    And standard output has the row workstation, vince@workstation.home.arpa:2222, unknown, never, -, -
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 1`
    Then it exits with 0
    And the SSH server of workstation let vince in with the person's key
    And the registry has one row, of workstation, with
      | column       | value           |
      | ssh_user     | vince           |
      | ssh_key_path | <home>/.ssh/lab |
      | status       | reachable       |
      | backends     | ["cpu"]         |
      | devices      | {"cpu": 1}      |
    And its last_connected_unix is now
    When I run `rbee-keeper config set-ssh --node workstation --host workstation.home.arpa --user violet`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column   | value   |
      | ssh_user | violet  |
      | ssh_port | 2222    |
      | status   | unknown |
      | backends | ["cpu"] |
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And the next step says "rbee-keeper config remove-node --node workstation"
    When I run `rbee-keeper config remove-node --node workstation`
    Then it exits with 0
    And standard output says "workstation is removed."
    And the config file is unchanged
    And the registry has no row

  Scenario: A node of the file is not added with other settings
    Given the node workstation
    And these lines are added to the config file: [nodes.attic] ssh_host = "attic.home.arpa"
    And these lines are added to the config file: [nodes.workstation] ssh_host = "workstation.home.arpa"
    When I run `rbee-keeper setup add-node --name workstation --ssh-host 192.0.2.7`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And the next step says "rbee-keeper config set-ssh --node workstation"
    And the SSH server of workstation saw no connection
    And the registry has the nodes attic and workstation, at hosts of these names

  Scenario: Without a config file one is made, for its owner alone
    Given an empty home folder
    And the environment has RBEE_QUEEN_HOST=<queen address>
    When I run `rbee-keeper config set-ssh --node attic --host attic.home.arpa`
    Then it exits with 0
    And standard output says "attic is written to <home>/.config/rbee/config.toml."
    And <home>/.config/rbee/config.toml can be read and written by its owner alone
    And nothing is running
