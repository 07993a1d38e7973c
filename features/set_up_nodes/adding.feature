@setup
Feature: A machine becomes a node once SSH to it works

  @t001-01 @critical
  Scenario: Adding a node tests SSH, detects its devices and stores its settings
    Given the node workstation
    And on workstation the programs are below the folder /home/rbee and nowhere else
    And the person's only key is ~/.ssh/lab key
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --ssh-port <workstation port> --ssh-user vince --ssh-key "~/.ssh/lab key" --git-repo https://git.home.arpa/rbee.git --git-branch release --install-path ~/rbee --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And standard error says "[queen-rbee] 🔌 testing SSH to workstation (vince@workstation.home.arpa:<workstation port>)"
    And standard error says "[queen-rbee] ✅ workstation is reachable"
    And standard output says "workstation is added"
    And the SSH server of workstation let vince in with the person's key
    And workstation was asked what it has
    And the registry has one row, of workstation, with
      | column        | value                         |
      | ssh_host      | workstation.home.arpa         |
      | ssh_port      | <workstation port>            |
      | ssh_user      | vince                         |
      | ssh_key_path  | <home>/.ssh/lab key           |
      | git_repo_url  | https://git.home.arpa/rbee.git |
      | git_branch    | release                       |
      | install_path  | ~/rbee                        |
      | status        | reachable                     |
      | hive_port     | 9200                          |
      | backends      | ["cpu"]                       |
      | devices       | {"cpu": 1}                    |
    And its last_connected_unix is now
    And nothing is running

  @t001-02
  Scenario: A node that SSH can't reach in time is not stored
    Given the node workstation
    And workstation's SSH server is mute
    And the setting times.connect_s is 0.5
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "timeout"
    And standard error says "workstation.home.arpa"
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
    When I run `rbee-keeper setup add-node --name ghost --ssh-host ghost.invalid`
    Then it exits with 1
    And the error is SSH_CONNECTION_FAILED
    And standard error says "ghost.invalid"
    And it is a clear message with a next step
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

  @beyond
  Scenario: Adding a node again replaces its settings
    Given the added node workstation
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --install-path /opt/rbee --hive-port 9300`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column       | value     |
      | install_path | /opt/rbee |
      | hive_port    | 9300      |
