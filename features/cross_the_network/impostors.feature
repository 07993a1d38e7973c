@beyond
Feature: A key and a prompt are sent only to a program that has proven that it has the key
  Whoever comes first may listen at a daemon's address, and answer as it does.

  Scenario: A stranger at the queen's address
    Given an API key that exists already
    And a stranger at the queen's address, that answers as a queen does
    When I run `rbee-keeper infer --prompt "a secret prompt" --max-tokens 5`
    Then it exits with 1
    And the error is KEY_NOT_PROVEN
    And standard error says "What listens at <queen address>:8080 can't prove that it has the API key"
    And standard error names the stranger as the holder
    And the next step says "api_key_file"
    When I run `rbee-keeper worker list`
    Then it exits with 1
    And the error is KEY_NOT_PROVEN
    When I run `rbee-keeper daemon stop`
    Then it exits with 1
    And the error is KEY_NOT_PROVEN
    When I run `rbee-keeper doctor`
    Then it exits with 1
    Given bash with completion on a terminal
    When I type `rbee-keeper infer --node loc` and Tab
    Then the line is `rbee-keeper infer --node localhost`, and nothing else is on the screen
    And the stranger has been asked for a proof
    But it has received neither the key nor "a secret prompt"

  Scenario: A stranger that makes up a proof
    Given an API key that exists already
    And a stranger at the queen's address, that answers as a queen does, with a proof that it makes up
    When I run `rbee-keeper infer --prompt "a secret prompt" --max-tokens 5`
    Then it exits with 1
    And the error is INVALID_API_KEY
    And the stranger has been asked for a proof
    But it has received neither the key nor "a secret prompt"

  Scenario: A stranger that passes everything on to the real queen
    Given a queen that an operator started
    And a stranger between keeper and queen
    When I run `rbee-keeper infer --prompt "a secret prompt" --max-tokens 5`
    Then it exits with 1
    And the error is KEY_NOT_PROVEN
    And the next step says "[auth]"
    And the stranger has been asked for a proof
    But it has received neither the key nor "a secret prompt"

  Scenario: A stranger at the address of the hive
    Given an API key that exists already
    And a stranger at the hive's address, that answers as a hive does
    When I run `rbee-keeper infer --prompt "a secret prompt" --max-tokens 5`
    Then it exits with 0
    And standard error says "What listens at <hive address>:9200 can't prove that it has the API key"
    And standard error names the stranger as the holder
    And the stranger has been asked for a proof
    But it has received neither the key nor "a secret prompt"

  Scenario: A stranger at the hive's port of a node
    The key that is in the home folder there is the node's.
    Given the node workstation
    And workstation has a key in its home folder
    And a stranger at workstation's hive port, that answers as a hive does
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt "a secret prompt" --max-tokens 5`
    Then it exits with 0
    And the stranger has been asked for a proof
    But it has received neither the key nor "a secret prompt"

  Scenario: A hive's address without its key
    Given an API key that exists already
    And a stranger at the hive's address, that answers as a hive does
    When I run `rbee-keeper setup add-node --name attic --hive-url http://<hive address>:9200`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "api_key_file"
    And the next step says "--api-key-file FILE"
    And the stranger has received nothing
