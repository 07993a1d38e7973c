Feature: A repository may hold many quantizations, and models in many files

  @beyond
  Scenario Outline: Nothing named, <what>
    Given the Hub has lab/many with these files
      | file                    | content         |
      | many-Q2_K.gguf          | small Q2_K      |
      | many-<nearest>.gguf     | small <nearest> |
      | many-Q8_0.gguf          | small Q8_0      |
      | README.md               | small Q6_K      |
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download lab/many`
    Then it exits with 0
    And standard error says "<nearest> is chosen of"
    And the models folder holds lab/many/many-<nearest>.gguf

    Examples:
      | what                   | nearest |
      | Q4_K_M is there        | Q4_K_M  |
      | Q5_K_M is nearest to 4 | Q5_K_M  |

  @beyond
  Scenario: Two quantizations of one repository side by side
    Given the Hub has lab/smol with these files
      | file             | content |
      | smol-Q4_K_M.gguf | Q4_K_M  |
      | smol-Q8_0.gguf   | Q8_0    |
    And a hive that an operator started
    And hf:lab/smol:Q4_K_M has been fetched before
    And hf:lab/smol:Q8_0 has been fetched before
    When the hive is asked for workers for hf:lab/smol:Q4_K_M and hf:lab/smol:Q8_0, and each for an answer
    Then each answered with 5 tokens
    And each worker reports the quantization that its file was made with: Q4_K_M, Q8_0
    And the catalog has 2 rows
    And the Hub was asked for nothing more

  @beyond
  Scenario: A model in three files
    Given the Hub has lab/parts with the bundled model in 3 parts
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model hf:lab/parts --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the models folder holds lab/parts/smollm2-00001-of-00003.gguf, lab/parts/smollm2-00002-of-00003.gguf and lab/parts/smollm2-00003-of-00003.gguf
    And the catalog has 1 row
    And the row for hf:lab/parts/smollm2-00001-of-00003.gguf has 3 files, 98362752 bytes in all
    When the worker is told to shut down through its hive
    And the hive lists no worker after 10 s
    And a person deletes lab/parts/smollm2-00002-of-00003.gguf in the models folder
    And I run `rbee-keeper models download hf:lab/parts`
    Then it exits with 0
    And the Hub was asked 2 times for smollm2-00002-of-00003.gguf
    And the Hub was asked 1 time for smollm2-00003-of-00003.gguf
    And the file lab/parts/smollm2-00002-of-00003.gguf is the one on the Hub

  @beyond
  Scenario: A model that can't fit is refused by its header, and one that fits is named
    Given the setting worker.context is 512
    And the Hub has lab/giant with these files
      | file            | content    |
      | giant-F16.gguf  | enormous   |
      | giant-Q2_K.gguf | small Q2_K |
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model hf:lab/giant:F16 --prompt hi`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And standard error says "Q2_K"
    And it is a clear message with a next step
    And nothing but headers of files was asked for, at most 8 MB
