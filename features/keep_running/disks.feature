@beyond
Feature: A disk that is full or read-only is reported, and what needs no room goes on

  @tmpfs
  Scenario: The disk of ~/.rbee is full before the first start
    Given ~/.rbee is on a disk of 4 MB
    And a person placed the small model at lab/small/small.gguf in the models folder
    When the disk fills up
    And I run `rbee-keeper infer --prompt hi`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "<home>/.rbee/api_key can't be written: No space left on device"
    And the next step says "Free some space on that disk"
    And ~/.rbee holds no file that could not be written
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf"
    And standard error says "<home>/.rbee/models.db can't be written"
    When I run `rbee-hive models delete hf:lab/small`
    Then it exits with 0
    And the models folder holds no model

  @tmpfs
  Scenario: The disk of ~/.rbee fills up while the programs run
    A chat goes on, although neither its history nor a conversation can be kept.
    Given ~/.rbee is on a disk of 4 MB
    And a queen and a hive that an operator started
    And a proxy between keeper and queen
    When I type `rbee-keeper chat --quiet --max-tokens 4 --temperature 0` on a terminal
    And the prompt appears
    And the disk fills up
    And I ask "One?" there and get an answer
    And I type "/save bees" there
    Then the terminal shows "bees.json can't be written"
    When I type "/bye" there
    Then it exits there with 0
    And ~/.rbee holds no file that could not be written
    When I run `rbee-keeper auth create lab`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "<home>/.rbee/keys.json can't be written: No space left on device"
    And ~/.rbee holds no file that could not be written

  @tmpfs
  Scenario: The models are on a disk that is read-only
    Given the Hub has lab/other with other.gguf, the small model
    And the models folder is on a disk of 40 MB
    And a person placed the small model at lab/small/small.gguf in the models folder
    And a queen and a hive that an operator started
    When the disk becomes read-only
    And I run `rbee-keeper models delete hf:lab/small`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "small.gguf can't be written: Read-only file system"
    And the next step says "Mount that disk for writing"
    And the file lab/small/small.gguf is still there
    When I run `rbee-keeper models download hf:lab/other`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "Read-only file system"
    And the next step says "Mount that disk for writing"
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf"
