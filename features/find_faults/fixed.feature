@beyond
Feature: The doctor's advice fixes what it found

  Scenario Outline: Its advice fixes what it found: <fault>
    Given <fault>
    When I run `rbee-keeper doctor`
    Then it exits with 1
    When I type what the doctor advises
    And I run `rbee-keeper doctor`
    Then it exits with 0

    Examples:
      | fault                                  |
      | a key that others can read             |
      | a state folder that is open to others  |
      | there is a catalog, and it is damaged  |
      | there is a registry, and it is damaged |
      | a queen that hangs                     |
      | a hive that hangs                      |

  Scenario: Outdated units are a warning, with the command that updates them
    Given units written by `rbee-keeper install --systemd`
    And the setting times.grace_s is 20
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that systemd is a warning: "written by another installation, or with other settings"
    When I run `rbee-keeper install --systemd`
    And I run `rbee-keeper doctor`
    Then the doctor says that systemd is fine: "fit this installation"
