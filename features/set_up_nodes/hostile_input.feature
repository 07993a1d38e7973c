Feature: Input is never run as a command, whatever it holds

  @beyond
  Scenario Outline: The node's name <name> is refused
    Given the node workstation
    When I run `rbee-keeper setup add-node --name <name> --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 1 or 2
    And it is a clear message with a next step
    And the SSH server of workstation saw no connection
    And no injected command was run
    And the registry has no row

    Examples:
      | name                |
      | 'x; touch pwned'    |
      | '$(touch pwned)'    |
      | '`touch pwned`'     |
      | --help=x            |
      | '../workstation'    |
      | localhost           |
      | ''                  |

  @beyond
  Scenario Outline: The host <host> is refused
    When I run `rbee-keeper setup add-node --name workstation --ssh-host <host>`
    Then it exits with 1 or 2
    And it is a clear message with a next step
    And no injected command was run
    And the registry has no row

    Examples:
      | host                              |
      | '-oProxyCommand=touch pwned'      |
      | 'workstation; touch pwned'        |

  @beyond
  Scenario Outline: An install path with <what> arrives unharmed
    Given the node workstation
    And on workstation the programs are below the folder <folder> and nowhere else
    And somebody has added workstation, installed in <folder>
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And standard error says "starting rbee-hive on workstation over SSH"
    And no injected command was run
    And nothing is running

    Examples:
      | what                | folder                      |
      | spaces              | /opt/my own  programs       |
      | quotes              | /opt/it's "mine"            |
      | a command           | /opt/$(touch pwned)         |
      | an old command      | /opt/`touch pwned`          |
      | a semicolon         | /opt/x; touch pwned #       |
      | a backslash         | /opt/a\nb\                  |
      | a star              | /opt/*                      |
      | another alphabet    | /opt/Häuschen 🐝            |

  @beyond
  Scenario: An install path of two lines is refused
    Given the node workstation
    When somebody adds workstation with an install path of two lines, the second of which is `touch pwned`
    Then it exits with 1 or 2
    And it is a clear message with a next step
    And no injected command was run
    And the registry has no row

  @beyond
  Scenario Outline: The config file's words about nodes are not commands either: <line>
    Given the added node workstation
    And these lines are added to the config file: <line>
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1 or 2
    And it is a clear message with a next step
    And no injected command was run

    Examples:
      | line                                                |
      | [remote] binary_path = "/opt/x; touch pwned"        |
      | [remote] binary_path = "$(touch pwned)"             |
      | [remote] git_repo_dir = "/opt/$(touch pwned)"       |
