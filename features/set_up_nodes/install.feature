@setup
Feature: One command installs rbee on a node
  What is installed is rbee, from this working tree or as it is installed here: with `-D hive=…` or
  another there is nothing of another implementation to judge on the node, and the scenarios
  that install are switched off.

  @t001-03 @B1.1 @rbee
  Scenario: Installing from a repository: it is cloned, built and answers
    Given the node workstation
    And workstation has no rbee
    And the pip of workstation has the packages that are installed here, and no index
    And a repository with this version of rbee on its branch release
    And somebody has added workstation with --git-repo <repository> --git-branch release --install-path ~/rbee
    When I install with `rbee-keeper setup install --node workstation`
    Then it exits with 0
    And the steps cloning, building, complete were reported, each naming workstation
    And ~/rbee on workstation is a clone of the repository, at its branch release
    And the rbee-hive in ~/rbee on workstation has the version of the repository
    And the worker in ~/rbee on workstation can load llama.cpp
    And standard error says "complete: rbee <version of the repository> is installed on workstation at <workstation root>/home/rbee, backends: cpu"
    And the registry has one row, of workstation, with
      | column     | value      |
      | status     | reachable  |
      | last_error | null       |
      | backends   | ["cpu"]    |
      | devices    | {"cpu": 1} |
    And its last_connected_unix is now
    And nothing is running

  @beyond @rbee
  Scenario: A node without git or a network gets the version that is installed here, in any folder
    Given the node workstation
    And workstation has no git and reaches no package index
    And somebody has added workstation with --git-repo /nowhere/rbee.git --install-path "~/my 'own' lab $(touch pwned)"
    When the contents of the home folder of workstation are noted
    And I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "git is not installed there"
    And the next step says "--wheel, which needs no git"
    And the home folder of workstation is unchanged
    When I install with `rbee-keeper setup install --node workstation --wheel`
    Then it exits with 0
    And the steps sending, building, complete were reported, each naming workstation
    And the rbee-hive in ~/my 'own' lab $(touch pwned) on workstation has the version that runs here
    And the worker in ~/my 'own' lab $(touch pwned) on workstation can load llama.cpp
    And the registry knows the backends of workstation
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --model <Q8_0>`
    Then it exits with 0
    And no injected command was run

  @beyond @rbee
  Scenario: Running it again upgrades, and leaves a running hive alone
    Given the node workstation
    And workstation has no rbee
    And the pip of workstation has the packages that are installed here, and no index
    And a repository with this version of rbee on its branch release
    And somebody has added workstation with --git-repo <repository> --git-branch release --install-path ~/rbee
    When I install with `rbee-keeper setup install --node workstation`
    Then it exits with 0
    When I run `rbee-keeper hive start --node workstation`
    Then it exits with 0
    When the pid of the hive on workstation is noted
    And the repository has version 0.1.77
    Then `rbee-keeper update` in ~/rbee on workstation finds newer commits
    When I install with `rbee-keeper setup install --node workstation`
    Then it exits with 0
    And ~/rbee on workstation is a clone of the repository, at its branch release
    And the rbee-hive in ~/rbee on workstation has the version of the repository
    And `rbee-keeper update` in ~/rbee on workstation finds nothing newer
    And the hive on workstation is still the same process, and its files are there
    When somebody changes README.md in ~/rbee on workstation
    And I install with `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "has changes that are not committed (README.md)"
    When somebody commits that there
    And I install with `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "has 1 commit that is nowhere else"
    And the next step says "Push"
    And ~/rbee on workstation has that commit
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --git-repo https://git.home.arpa/other.git --git-branch release --install-path ~/rbee`
    Then it exits with 0
    When I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And standard error says "is a clone of <repository>"
    And the next step says "choose another install_path"
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    And nothing is running

  @beyond
  Scenario: A repository that can't be cloned is reported in git's own words
    Given the node workstation
    And somebody has added workstation with --git-repo /nowhere/rbee.git
    When I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "cloning on workstation failed"
    And standard error says "'/nowhere/rbee.git' does not appear to be a git repository"
    And it is a clear message with a next step

  @beyond @rbee
  Scenario: A failed build is reported in pip's own words
    Given the node workstation
    And the pip of workstation has the packages that are installed here, and no index
    And a repository with this version of rbee on its branch release
    And the repository can't be built
    And somebody has added workstation with --git-repo <repository> --git-branch release
    When I install with `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And the steps cloning, building were reported, each naming workstation
    And standard error says "building on workstation failed"
    And standard error says "click>=8888"
    And it is a clear message with a next step

  @beyond @sshd @rbee
  Scenario: Ctrl+C ends what runs on the node, and leaves the old installation in place
    Given the node workstation with OpenSSH
    And workstation has no rbee
    And the pip of workstation has the packages that are installed here, and no index
    And a repository with this version of rbee on its branch release
    And somebody has added workstation with --git-repo <repository> --git-branch release
    When I start `rbee-keeper setup install --node workstation`
    And pip is running on workstation
    And the keeper gets SIGINT
    Then it exits with 130
    And nothing is running on workstation after 10 s
    And ~/rbee on workstation has no finished environment

  @beyond
  Scenario: A Python that is too old is reported before anything is changed
    Given the node workstation
    And the only Python of workstation is 3.10.14
    And somebody has added workstation with --git-repo /nowhere/rbee.git
    When the contents of the home folder of workstation are noted
    And I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is PROGRAM_FAILED
    And standard error says "3.10.14"
    And standard error says "3.11"
    And it is a clear message with a next step
    And the home folder of workstation is unchanged

  @beyond
  Scenario Outline: A folder with something else in it is left alone: <case>
    Given the node workstation
    And somebody has a file in the folder ~/lab of workstation
    And the config file has these settings of [remote]: <remote>
    And somebody has added workstation with --git-repo /nowhere/rbee.git --install-path <install path>
    When I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "<workstation root>/home/lab"
    And standard error says "notes.txt"
    And there is nothing but that file in ~/lab of workstation

    Examples:
      | case                                     | remote             | install path |
      | the install path of the node             | none               | ~/lab        |
      | the repository's folder goes before it   | git_repo_dir=~/lab | ~/rbee       |

  @beyond
  Scenario: Neither a repository nor --wheel: both are named
    Given the added node workstation
    When I run `rbee-keeper setup install --node workstation`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "--git-repo"
    And standard error says "--wheel"

  @beyond
  Scenario: A backend that can't be built there: nothing is changed
    Given the added node workstation
    When the contents of the home folder of workstation are noted
    And I run `rbee-keeper setup install --node workstation --wheel --backend metal`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "Only Macs have Metal, and workstation is not a Mac"
    And the home folder of workstation is unchanged
