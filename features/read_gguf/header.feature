@gguf
Feature: A model file's header says what it is

  @t001-19
  Scenario Outline: A GGUF that is called <name>
    Given a persistent queen
    When I run `rbee-keeper infer --model <model> --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the model-loader reports GGUF, llama, 30 layers, <quantization>, vocabulary of 49152, end-of-sequence token 2, trained for 8192 tokens
    And it reports how long the load took, which is part of the time of the command
    And the worker says that llama.cpp has loaded GGUF, llama, 30 layers, <quantization>

    Examples:
      | name      | model        | quantization |
      | .gguf     | <Q8_0>       | Q8_0         |
      | model.bin | <other name> | Q4_1         |

  @t001-19
  Scenario: A text that is called .gguf
    Given a queen and a hive that an operator started
    When I run `rbee-keeper infer --model <no gguf> --prompt hi`
    Then it exits with 1
    And the error is UNSUPPORTED_MODEL_FORMAT
    And standard error says "shopping-list.gguf"

  @t001-20
  Scenario: The header's values are reported
    Given a standalone worker with `--slots 2 --context 640`
    When the worker is asked for its model
    Then its vocabulary, its end-of-sequence token, its quantization and its size are those of the file
    And its size in memory is what llama.cpp itself reports

  @t001-20
  Scenario: An answer ends with the header's end-of-sequence token
    Given a standalone worker with `--slots 2`
    When it is asked for an answer that ends early, with and without obeying the end
    Then the first has fewer tokens and the reason EOS, the second all of them and MAX_TOKENS
    And at the end of the first, the header's end-of-sequence token comes next
