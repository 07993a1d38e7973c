@beyond
Feature: A hive that an operator started is a node like any other
  Without SSH: its address and its key are all that the queen needs.

  Background:
    Given the node workstation
    And a hive that an operator started on workstation, at port 9333

  Scenario: It is added, listed, asked, and left alone
    When I run `rbee-keeper setup add-node --name workstation --hive-url http://<workstation address>:9333 --api-key-file <workstation root>/home/.rbee/api_key`
    Then it exits with 0
    And the registry has one row, of workstation, with
      | column       | value                                    |
      | hive_url     | http://<workstation address>:9333        |
      | api_key_file | <workstation root>/home/.rbee/api_key    |
    When I run `rbee-keeper setup list-nodes`
    Then it exits with 0
    And standard output has a row for workstation, with http://<workstation address>:9333, reachable, cpu and this minute, 0 hours ahead of UTC
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the operator's hive on workstation answered
    And nothing but that hive and its worker is running
    When I run `rbee-keeper hive status --node workstation`
    Then it exits with 0
    And standard output has the row workstation, running, <version>, http://<workstation address>:9333, cpu, 1
    When I run `rbee-keeper pool health --host <workstation address>`
    Then it exits with 0
    And standard output has the row workstation, running, <version>, http://<workstation address>:9333, cpu, 1
    When I run `rbee-keeper pool status --host <workstation address>`
    Then it exits with 0
    And standard output has the row workstation, running, <version>, http://<workstation address>:9333, cpu, 1
    And the operator's hive on workstation is still the same process
    And the SSH server of workstation saw no connection
    When I run `rbee-keeper hive stop --node workstation`
    Then it exits with 0
    And standard output says "The hive on workstation has ended."
    And the operator's hive on workstation has exited with 0
    And nothing is running

  Scenario: Its key is wrong
    Given the file <home>/wrong-key with another key
    When I run `rbee-keeper setup add-node --name workstation --hive-url http://<workstation address>:9333 --api-key-file <home>/wrong-key`
    Then it exits with 1
    And the error is INVALID_API_KEY
    When I run `rbee-keeper setup list-nodes --json`
    Then it exits with 0
    And the registry has no row

  Scenario: The queen restarts, and still knows it
    Given workstation has been added by its hive's address
    And a queen that an operator started
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    When the queen dies of SIGKILL
    And a queen is started
    And I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the worker of the previous run answered
    And "worker startup" is shown as skipped

  Scenario: It is found over SSH, with the key that is in the home folder there
    Given somebody has added workstation with --hive-port 9333
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And the operator's hive on workstation answered
    And nothing but that hive and its worker is running
    And the operator's hive on workstation is still the same process

  Scenario: It has been stopped
    Given workstation has been added by its hive's address
    And the operator has stopped the hive on workstation
    When I run `rbee-keeper infer --node workstation --prompt hi --max-tokens 5`
    Then it exits with 1
    And the error is CONNECTION_REFUSED
    And standard error says "workstation does not answer at <workstation address>:9333 after 3 attempts: refused"
    And the next step says "workstation is switched on, but nothing listens at that port"
    And the next step says "rbee-keeper hive status --node workstation"
    And nothing is running
