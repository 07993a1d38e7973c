@beyond
Feature: What the doctor advises mends what it found

  Scenario Outline: What it advises mends what it found: <fault>
    Given <fault>
    When I run `rbee-keeper doctor`
    Then it exits with 1
    When what the doctor advises is typed
    And I run `rbee-keeper doctor`
    Then it exits with 0

    Examples:
      | fault                                  |
      | a key that others can read             |
      | a state folder that is open to others  |
      | there is a catalog, and it is damaged  |
      | there is a registry, and it is damaged |
      | a queen that stands still              |
      | a hive that stands still               |

  Scenario: Units of another time are a warning, with what brings them up to date
    Given units written by `rbee-keeper install --systemd`
    And the setting times.grace_s is 20
    When I run `rbee-keeper doctor`
    Then it exits with 0
    And the doctor says that systemd is a warning: "written by another installation, or with other settings"
    When I run `rbee-keeper install --systemd`
    And I run `rbee-keeper doctor`
    Then the doctor says that systemd is fine: "fit this installation"
