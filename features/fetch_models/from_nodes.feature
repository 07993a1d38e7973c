@beyond
Feature: A model that another node has comes from there
  Its bytes come over the internet once. The Hub says what they must be, as long as it answers.

  Scenario: A second node needs it: the Hub sends none of its bytes again
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When it is noted what the Hub was asked
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf --json`
    Then it exits with 0
    And standard error says "fetching hf:lab/small/small.gguf (15 MB) from the node left"
    And standard error says "small.gguf is whole (sha256 checked)"
    And each progress that was reported names the node left
    And since then the Hub was asked for a listing, and for no file
    And lab/small/small.gguf on right is the one on the Hub
    And the catalog of right has its sha256, for hf:lab/small/small.gguf

  Scenario: The file is another one on the Hub by now: the node is not used
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When small.gguf in lab/small is changed on the Hub to the small changed model
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf --json`
    Then it exits with 0
    And each progress that was reported names no node
    And lab/small/small.gguf on right is the one on the Hub

  Scenario: The Hub has it no longer
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When lab/small is taken off the Hub
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf --json`
    Then it exits with 0
    And standard error says "the Hub does not list hf:lab/small/small.gguf"
    And each progress that was reported names the node left

  Scenario: The Hub is down, and this machine has the model
    Given the added node workstation
    And the Hub of the node workstation has lab/smol with smol-Q4_1.gguf, the bundled model
    And a persistent queen
    When I run `rbee-keeper models download hf:lab/smol/smol-Q4_1.gguf`
    Then it exits with 0
    When the Hub goes down
    And I run `rbee-keeper infer --node workstation --model hf:lab/smol --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And the answer has exactly 20 tokens
    And standard error says "the Hub does not list hf:lab/smol"
    And standard error says "fetching hf:lab/smol/smol-Q4_1.gguf (98 MB) from the node localhost"
    And each progress that was reported names the node localhost
    And workstation reached this machine back through its SSH connection, which is no longer possible
    And the catalog of workstation has its sha256, for hf:lab/smol/smol-Q4_1.gguf

  Scenario: The Hub is down, and no hive runs on the node that has the model
    Given the added node workstation
    And the Hub of the node workstation has lab/smol with smol-Q4_1.gguf, the bundled model
    When I run `rbee-keeper models download --node workstation hf:lab/smol/smol-Q4_1.gguf`
    Then it exits with 0
    And nothing is running
    When the Hub goes down
    And I run `rbee-keeper infer --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 20 --temperature 0 --json`
    Then it exits with 0
    And localhost answered
    And the answer has exactly 20 tokens
    And these words are shown, in this order
      | words                                                                 |
      | attempt 6 of 6                                                        |
      | starting rbee-hive on workstation, to look for the model              |
      | fetching hf:lab/smol/smol-Q4_1.gguf (98 MB) from the node workstation |
    And nothing is running

  Scenario: The node dies in the middle: the rest comes from the Hub
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And left is cut off as soon as one connection has brought 6 MB from it
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When it is noted what the Hub was asked
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf --json`
    Then it exits with 0
    And standard error says "the node left broke off"
    And standard error says "continuing from the Hub"
    And since then the Hub was asked for the rest of small.gguf, from about 6 MB on
    And lab/small/small.gguf on right is the one on the Hub

  Scenario: The node's file has changed on its disk: the Hub sends the whole model
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When one byte of lab/small/small.gguf on left changes
    And it is noted what the Hub was asked
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf`
    Then it exits with 0
    And standard error says "the node left broke off (its sha256 is wrong): continuing from the Hub"
    And since then the Hub was asked for the rest of small.gguf, from about 0 MB on
    And lab/small/small.gguf on right is the one on the Hub

  Scenario: The first node's file has changed on its disk: the second node sends it
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left, middle and right, which use this Hub, each with a hive that an operator started, are added
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When I run `rbee-keeper models download --node middle hf:lab/small/small.gguf`
    Then it exits with 0
    When one byte of lab/small/small.gguf on left changes
    And it is noted what the Hub was asked
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf`
    Then it exits with 0
    And standard error says "the node left broke off (its sha256 is wrong): continuing from the node middle"
    And since then the Hub was asked for a listing, and for no file
    And lab/small/small.gguf on right is the one on the Hub

  Scenario: It is turned off
    Given the Hub has lab/small with small.gguf, the small model
    And the nodes left and right, which use this Hub, each with a hive that an operator started, are added
    And the setting models.fetch_from_nodes is false
    And a persistent queen
    When I run `rbee-keeper models download --node left hf:lab/small/small.gguf`
    Then it exits with 0
    When it is noted what the Hub was asked
    And I run `rbee-keeper models download --node right hf:lab/small/small.gguf --json`
    Then it exits with 0
    And since then the Hub was asked for the rest of small.gguf, from about 0 MB on
    And each progress that was reported names no node
