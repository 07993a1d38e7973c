@install
Feature: A person installs rbee for themself

  @t001-54
  Scenario: Programs, config file and folders, in a home that has nothing yet
    Given an empty home folder
    When I run `rbee-keeper install`
    Then it exits with 0
    And the four programs in <home>/.local/bin answer with their version
    And <home>/.config/rbee/config.toml changes no setting
    And it names every setting and says what it is for; with all of them uncommented, nothing changes either
    And <home>/.config/rbee/config.toml can be read and written by its owner alone
    And <home>/.rbee is a folder that only its owner can read
    And <home>/.local/share/rbee/models is a folder
    And standard error says "<home>/.local/bin is not on your PATH"
    And standard error says "rbee-keeper doctor"
    When the contents of the home folder are noted
    And I run `rbee-keeper install --user`
    Then it exits with 0
    And the home folder is unchanged

  @t001-54
  Scenario: An existing config file is left alone
    Given the setting models.dir is "<home>/my models"
    When the contents of the config file are noted
    And I run `rbee-keeper install`
    Then it exits with 0
    And standard output says "config.toml was there already, and is left as it is"
    And the config file is unchanged
    And <home>/my models is a folder

  @beyond
  Scenario: A program of the same name is not overwritten
    Given an empty home folder
    And another program <home>/.local/bin/queen-rbee
    When I run `rbee-keeper install`
    Then it exits with 1
    And standard error says "<home>/.local/bin/queen-rbee is another program, and was left alone"
    And that program is unchanged
    And <home>/.local/bin has rbee-keeper, rbee-hive and llm-worker-rbee beside it
    When I type the command that it advises
    And I run `rbee-keeper install`
    Then it exits with 0
    And the four programs in <home>/.local/bin answer with their version

  @beyond
  Scenario: XDG's folders are used where they are set
    Given an empty home folder
    And the environment has XDG_CONFIG_HOME=<home>/settings
    And the environment has XDG_DATA_HOME=<home>/data
    And a link <home>/.local/bin/rbee-hive to a program that is gone
    When I run `rbee-keeper install --systemd`
    Then it exits with 0
    And the four programs in <home>/.local/bin answer with their version
    And <home>/settings/rbee/config.toml changes no setting
    And <home>/data/rbee/models is a folder
    And <home>/settings/systemd/user has the units of queen and hive

  @beyond
  Scenario: Where PATH has the folder already, there is no advice to change it
    Given an empty home folder
    And the environment has PATH=<home>/.local/bin:/usr/bin:/bin
    And a state folder that is open to others
    When I run `rbee-keeper install`
    Then it exits with 0
    And <home>/.rbee is a folder that only its owner can read
    And standard error says nothing of "PATH"

  @beyond
  Scenario Outline: The advice about PATH works, in <shell>
    Given an empty home folder
    And the environment has PATH=/usr/bin:/bin
    And the environment has SHELL=/usr/bin/<shell>
    When I run `rbee-keeper install`
    Then it exits with 0
    When I type the line that it advises in <shell>
    Then a new <shell> finds queen-rbee in <home>/.local/bin

    Examples:
      | shell |
      | bash  |

    @zsh
    Examples: zsh
      | shell |
      | zsh   |

    @fish
    Examples: fish
      | shell |
      | fish  |

  @beyond
  Scenario Outline: Flags that make no sense are refused: <flags>
    When I run `rbee-keeper install <flags>`
    Then it exits with 2

    Examples:
      | flags              |
      | --user --system    |
      | --root /tmp/x      |
      | --system --root "" |
