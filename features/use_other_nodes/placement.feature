@beyond
Feature: If nobody names a node, the queen chooses one

  Scenario Outline: Two nodes have the model in memory: the idle one is used
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once
    When the worker on <busy> is busy with a long answer
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --json`
    Then it exits with 0
    And <idle> answered, with the same worker as before
    And nothing was spawned, and the long answer still streams

    Examples:
      | busy  | idle  |
      | left  | right |
      | right | left  |

  Scenario: A queen that is started again knows what runs on the operators' hives
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And each of them has a worker that has answered once
    When the queen is killed
    And I run `rbee-keeper daemon start`
    Then it exits with 0
    And the queen that was started is persistent
    When the worker on left is busy with a long answer
    And I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --explain --json`
    Then it exits with 0
    And right answered, with the same worker as before
    And standard error says "placement: right, since an idle worker holds the model, its hive runs"
    And each of the hives has one worker, and the long answer still streams

  Scenario: Only one node has the model on its disk: that one is used, though another has more memory
    Given the nodes left and right, each with a hive that an operator started, are added, and a card with room for 3 and 2 workers
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder of right
    When I run `rbee-keeper infer --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 5 --temperature 0 --explain --json`
    Then it exits with 0
    And right answered, with a worker of its own
    And the nodes were placed in the order right, left, localhost

  Scenario: Neither node has more than the other, but for the free memory of its best device
    Given the nodes left and right, each with a hive that an operator started, are added, and a card with room for 2 and 3 workers
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --explain --json`
    Then it exits with 0
    And right answered, with a worker of its own
    And the nodes were placed in the order right, left, localhost
    And standard error says "placement: right, since its hive runs, 524 MB are free"

  Scenario: A worker is started, and a model fetched, where a task would go
    Given the nodes left and right, each with a hive that an operator started, are added
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder of right
    When I run `rbee-keeper worker start --model hf:lab/smol/smol-Q4_1.gguf --explain`
    Then it exits with 0
    And the nodes were placed in the order right, left, localhost
    And standard error says "placement: right, since the model is there, its hive runs"
    And standard output says " runs on right: hf:lab/smol/smol-Q4_1.gguf, cpu:0"
    And of left and right only right has a worker
    And the queen that was started is persistent
    When I run `rbee-keeper models download hf:lab/smol/smol-Q4_1.gguf --explain`
    Then it exits with 0
    And the nodes were placed in the order right, left, localhost
    And standard output says "<right root>/home/.local/share/rbee/models/lab/smol/smol-Q4_1.gguf"
    And the decisions on both name right, and the correlation ids of their requests

  Scenario: No node has more than another: this machine is used
    Given the added node attic
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0 --explain --json`
    Then it exits with 0
    And localhost answered
    And the nodes were placed in the order localhost, attic
    And nothing is running
