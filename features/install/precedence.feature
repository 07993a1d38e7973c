@install
Feature: Of several config files, only the first one counts

  @t001-56
  Scenario Outline: RBEE_CONFIG before the person's file before the machine's: <counts>
    Given the config files <there>, each with another queen.queue_limit
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And the queen.queue_limit is that of <counts>
    When I run `rbee-keeper config show`
    Then it exits with 0
    And the queen.queue_limit is that of <counts>

    Examples: two of them
      | there                | counts      |
      | RBEE_CONFIG and user | RBEE_CONFIG |
      | user                 | user        |

    @mounts
    Examples: with the machine's
      | there                        | counts      |
      | RBEE_CONFIG, user and system | RBEE_CONFIG |
      | user and system              | user        |
      | system                       | system      |

  @beyond @mounts
  Scenario: A person who installs on a machine with its own settings keeps those
    Given the config files system, each with another queen.queue_limit
    When I run `rbee-keeper install`
    Then it exits with 0
    And standard output says "/etc/rbee/config.toml has the settings of this machine"
    When I run `rbee-keeper config show`
    Then it exits with 0
    And the queen.queue_limit is that of system
