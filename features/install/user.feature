@install
Feature: A person installs rbee for themself

  @t001-54
  Scenario: Programs, config file and folders, in a home that has nothing yet
    Given a home with nothing in it
    When I run `rbee-keeper install`
    Then it exits with 0
    And the four programs in <home>/.local/bin answer with their version
    And <home>/.config/rbee/config.toml changes no setting
    And it names every setting; with all of them taken in, nothing has changed either
    And <home>/.rbee is a folder for nobody else to read
    And <home>/.local/share/rbee/models is a folder
    And standard error says "<home>/.local/bin is not on your PATH"
    And standard error says "rbee-keeper doctor"
    When somebody notes what is in the home
    And I run `rbee-keeper install --user`
    Then it exits with 0
    And the home is as it was

  @t001-54
  Scenario: A config file that is there is left alone
    When somebody notes what is in the config file
    And I run `rbee-keeper install`
    Then it exits with 0
    And standard output says "config.toml was there already, and is left as it is"
    And the config file is as it was

  @beyond
  Scenario: A program of the same name is not overwritten
    Given a home with nothing in it
    And another program <home>/.local/bin/queen-rbee
    When I run `rbee-keeper install`
    Then it exits with 1
    And standard error says "<home>/.local/bin/queen-rbee is another program, and was left alone"
    And that program is as it was
    And <home>/.local/bin has rbee-keeper, rbee-hive and llm-worker-rbee beside it
    When the command that it advises is typed
    And I run `rbee-keeper install`
    Then it exits with 0
    And the four programs in <home>/.local/bin answer with their version

  @beyond
  Scenario: XDG's folders are used where they are set
    Given a home with nothing in it
    And the environment has XDG_CONFIG_HOME=<home>/settings
    And the environment has XDG_DATA_HOME=<home>/data
    When I run `rbee-keeper install --systemd`
    Then it exits with 0
    And <home>/settings/rbee/config.toml changes no setting
    And <home>/data/rbee/models is a folder
    And <home>/settings/systemd/user has the units of queen and hive

  @beyond
  Scenario: Where PATH has the folder already, nobody is told to change it
    Given a home with nothing in it
    And the environment has PATH=<home>/.local/bin:/usr/bin:/bin
    When I run `rbee-keeper install`
    Then it exits with 0
    And nothing is said about PATH

  @beyond
  Scenario Outline: What is advised about PATH does it, in <shell>
    Given a home with nothing in it
    And the environment has PATH=/usr/bin:/bin
    And the environment has SHELL=/usr/bin/<shell>
    When I run `rbee-keeper install`
    Then it exits with 0
    When the line that it advises is typed in <shell>
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
  Scenario Outline: What makes no sense is refused: <flags>
    When I run `rbee-keeper install <flags>`
    Then it exits with 2

    Examples:
      | flags              |
      | --user --system    |
      | --root /tmp/x      |
      | --system --root "" |
