@gguf
Feature: Quantizations

  @t001-21
  Scenario Outline: Three quantizations of one model
    Given a hive that an operator started
    When the hive is asked on <backend> for workers for <Q4_K_M>, <Q5_K_M> and <Q8_0>, and each for an answer
    Then each answered with 5 tokens
    And each worker reports the quantization that its file was made with: Q4_K_M, Q5_K_M, Q8_0
    And the sizes that llama.cpp reports grow from each to the next

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |

  @beyond
  Scenario: The context that is asked for counts in the preflight's arithmetic
    Given the setting worker.context is 512
    And a queen and a hive that an operator started
    When I run `rbee-keeper worker start --model <Q4_K_M> --context 8192`
    Then it exits with 0
    And the preflight reports that <Q4_K_M> needs its size and that of its cache, and what is free

  @t001-22
  Scenario Outline: The file's size is the size in the preflight's arithmetic
    The model was trained for 8192 tokens: it gets no more, whatever the setting says.
    Given the setting worker.context is <context>
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model <model> --prompt hi --max-tokens 1`
    Then it exits with 0
    And the preflight reports that <model> needs <arithmetic>, and what is free

    Examples:
      | model     | context | arithmetic                     |
      | <Q8_0>    | 512     | 1.2 times its size             |
      | <Q4_K_M>  | 16384   | its size and that of its cache |
