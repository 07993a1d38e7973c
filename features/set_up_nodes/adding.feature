@setup
Feature: A machine becomes a node once SSH to it works

  @t001-01 @critical
  Scenario: Adding a node tests SSH, detects its devices and stores its settings
    Given ~/.ssh/config has for workstation.home.arpa
      | Port 2022 |
    And the node workstation, whose SSH server is at port 2222
    And on workstation the programs are below the folder /home/rbee and nowhere else
    And on workstation the rbee-hive below the folder /home/rbee finds 2 cards for cuda
    And the person's only key is ~/.ssh/lab key
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --ssh-port 2222 --ssh-user vince --ssh-key "~/.ssh/lab key" --git-repo https://git.home.arpa/rbee.git --git-branch release --install-path ~/rbee --hive-port 9311 --mac 3c:7c:3f:12:ab:9e --no-wake --wake-address 192.168.1.255:7 --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And standard error says "[queen-rbee] 🔌 testing SSH to workstation (vince@workstation.home.arpa:2222)"
    And standard error says "[queen-rbee] ✅ workstation is reachable"
    And standard output says "workstation is added"
    And the SSH server of workstation let vince in with the person's key
    And workstation was asked what it has
    And the registry has one row, of workstation, with
      | column        | value                         |
      | node_name     | workstation                   |
      | ssh_host      | workstation.home.arpa         |
      | ssh_port      | 2222                          |
      | ssh_user      | vince                         |
      | ssh_key_path  | <home>/.ssh/lab key           |
      | git_repo_url  | https://git.home.arpa/rbee.git |
      | git_branch    | release                       |
      | install_path  | ~/rbee                        |
      | status        | reachable                     |
      | last_error    | null                          |
      | hive_port     | 9311                          |
      | hive_url      | null                          |
      | api_key_file  | null                          |
      | tunnel        | false                         |
      | mac           | 3c:7c:3f:12:ab:9e             |
      | wake          | false                         |
      | wake_address  | 192.168.1.255:7               |
      | backends      | ["cuda", "cpu"]               |
      | devices       | {"cuda": 2, "cpu": 1}         |
    And it has no other column but last_connected_unix
    And its last_connected_unix is now
    And ~/.rbee/known_hosts has the key of workstation, writable only by its owner
    And nothing is running

  @t001-02 @alone
  Scenario: A node that SSH can't reach in time is not stored
    Given the node workstation, whose SSH server is at port 2222
    And workstation's SSH server is mute
    And the setting times.connect_s is 0.5
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "SSH to workstation.home.arpa:2222 failed: timeout, no answer within 0.5 s"
    And the next step says "ssh workstation.home.arpa"
    And it is a clear message with a next step
    And the SSH server of workstation saw 1 connection, open for 0.5 s
    And the registry has no row

  @beyond
  Scenario Outline: Where it is not a timeout, the error has SSH's own words: <fault>
    Given the node workstation
    And workstation's SSH server <fault>
    And the setting times.connect_s is 1
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "<reason>"
    And it is a clear message with a next step
    And the registry has no row

    Examples:
      | fault                  | reason               |
      | swallows connections   | timeout              |
      | refuses connections    | refused              |
      | rejects every key      | the key was rejected |

  @beyond
  Scenario: The host of a node that does not exist
    Given the person's only key is ~/.ssh/lab
    When I run `rbee-keeper setup add-node --name ghost --ssh-host ghost.invalid --ssh-port 2222 --ssh-user vince --ssh-key ~/.ssh/lab`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "SSH to ghost.invalid:2222 failed: its name is not known here"
    And the next step says "ssh -p 2222 -i <home>/.ssh/lab vince@ghost.invalid"
    And the registry has no row

  @beyond
  Scenario: A node without rbee is added, and the next step is shown
    Given the node workstation
    And workstation has no rbee
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And standard output says "workstation is added"
    And standard output says "rbee-keeper setup install --node workstation"
    And the registry has one row, of workstation, with
      | column   | value     |
      | status   | reachable |
      | backends | null      |
    And its last_connected_unix is now
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "rbee is not installed on workstation"
    And the next step says "rbee-keeper setup install --node workstation --wheel"
    And the registry has one row, of workstation, with
      | column     | value                                                            |
      | status     | reachable                                                        |
      | last_error | rbee is not installed on workstation: there is no rbee-hive there. |

  @beyond
  Scenario: Adding a node again replaces all of its settings, and the next hive follows them
    Given the node workstation
    And a persistent queen
    And somebody has added workstation with --ssh-user vince --git-repo https://git.home.arpa/rbee.git --git-branch release --hive-port 9311
    When I run `rbee-keeper hive start --node workstation`
    Then it exits with 0
    And the hive on workstation listens at <workstation address>:9311
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --hive-port 9300`
    Then it exits with 0
    And nothing is running on workstation after 1 s
    And the registry has one row, of workstation, with
      | column       | value |
      | ssh_port     | null  |
      | ssh_user     | null  |
      | git_repo_url | null  |
      | git_branch   | main  |
      | hive_port    | 9300  |
    When I run `rbee-keeper hive start --node workstation`
    Then it exits with 0
    And standard output says "rbee-hive runs on workstation: http://<workstation address>:9300"
    And the hive on workstation listens at <workstation address>:9300
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --hive-port 9300`
    Then it exits with 0
    And the hive on workstation listens at <workstation address>:9300
    When I run `rbee-keeper setup remove-node --name workstation`
    Then it exits with 0
    And nothing is running on workstation after 1 s

  @beyond
  Scenario: Over HTTP, `~` is the home of the queen's person
    Given the node workstation
    And the person's only key is ~/.ssh/lab
    And the person's ssh knows the key of workstation
    And a persistent queen
    When a client asks the queen for POST /v2/registry/beehives/add with {"node_name": "workstation", "ssh_host": "workstation.home.arpa", "ssh_key_path": "~/.ssh/lab", "api_key_file": "~/hive-key"}
    Then the reply has {"success": true, "node_name": "workstation"}
    And the SSH server of workstation let somebody in with the person's key
    And the registry has one row, of workstation, with
      | column       | value           |
      | ssh_key_path | <home>/.ssh/lab |
      | api_key_file | <home>/hive-key |
      | ssh_port     | null            |
      | git_branch   | main            |
      | hive_port    | 9200            |
      | tunnel       | false           |
    When a client asks the queen for POST /v2/registry/beehives/remove with {"node_name": "workstation"}
    Then the reply has {"success": true}
    And the registry has no row
