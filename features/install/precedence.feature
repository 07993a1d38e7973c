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
    And the next step says "cp /etc/rbee/config.toml <home>/.config/rbee/config.toml"
    When I run `rbee-keeper config show`
    Then it exits with 0
    And the queen.queue_limit is that of system

  @beyond
  Scenario: A flag counts before the environment, and that before the file
    Given the setting queen.port is 8301
    And the setting times.grace_s is 7
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And it shows queen.port as 8301
    Given the environment has RBEE_QUEEN_PORT=8302
    And the environment has RBEE_TIMES_GRACE_S=2.5
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 0
    And it shows queen.port as 8302
    And it shows times.grace_s as 2.5
    When I run `rbee-keeper config show`
    Then it exits with 0
    And it shows queen.port as 8302
    And it shows times.grace_s as 2.5
    When I run `queen-rbee daemon --port 8303 --show-settings`
    Then it exits with 0
    And it shows queen.port as 8303
    And it shows times.grace_s as 2.5

  @beyond
  Scenario: RBEE_CONFIG names a file that does not exist
    Given the environment has RBEE_CONFIG=<home>/nowhere.toml
    When I run `queen-rbee daemon --show-settings`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And standard error says "<home>/nowhere.toml"
    And standard output is empty
