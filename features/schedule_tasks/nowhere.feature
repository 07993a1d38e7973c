@beyond @scheduling
Feature: A model that fits on no node
  Nobody waits for what will never come.

  Scenario: It is refused at once, with what each node lacks and what would help
    Given the nodes left and right, each with a hive that an operator started, are added
    And a persistent queen
    And an enormous model is on the disks of localhost, left and right
    When I run `rbee-keeper infer --model hf:lab/enormous/enormous.gguf --prompt hi`
    Then it exits with 1
    And it took less than 10 s
    And the error is VRAM_EXHAUSTED
    And it says of localhost, left and right what is free there, and what the model needs
    And the next step says "Use a smaller quantization, free memory on localhost, left or right"
    And the next step says "or add a node with more"
    And the queen let nobody wait for it
