@install
Feature: Which rbee-hive is started on a node

  @t001-57
  Scenario Outline: <case>
    Given the node workstation
    And on workstation the programs are also in /opt/one/.venv/bin, /opt/two/.venv/bin and /opt/three
    And the config file has these settings of [remote]: <remote>
    And somebody has added workstation with --install-path <workstation root>/opt/one
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then the hive on workstation is the program <program>
    And it exits with 0
    And nothing is running

    Examples:
      | case                                     | remote                                        | program                    |
      | The install path of the node             | none                                          | <workstation root>/opt/one/.venv/bin/rbee-hive |
      | The repository's folder goes before it   | git_repo_dir=<workstation root>/opt/two                         | <workstation root>/opt/two/.venv/bin/rbee-hive |
      | The binary's path goes before everything | git_repo_dir=<workstation root>/opt/two, binary_path=<workstation root>/opt/three/rbee-hive | <workstation root>/opt/three/rbee-hive |

  @beyond
  Scenario Outline: Without a path, the places where people install programs: <folder>
    Given the node workstation
    And on workstation the programs are in <folder> and nowhere else
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column       | value   |
      | install_path | null    |
      | backends     | ["cpu"] |

    Examples:
      | folder                |
      | /home/.local/bin      |
      | /home/rbee/.venv/bin  |
