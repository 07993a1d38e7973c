Feature: A repository may hold many quantizations, and models in many files

  @beyond
  Scenario Outline: Nothing named, <what>
    Given the Hub has lab/many with these files
      | file                    | content         |
      | many-<first>.gguf       | small <first>   |
      | many-<nearest>.gguf     | small <nearest> |
      | many-<last>.gguf        | small <last>    |
      | mmproj-many-Q4_K_M.gguf | small Q4_K_M    |
      | many-imatrix-Q4_K_M.gguf | small Q4_K_M   |
      | README.md               | small Q6_K      |
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download lab/many`
    Then it exits with 0
    And standard error says "<nearest> is chosen of <offered>"
    And the models folder holds lab/many/many-<nearest>.gguf

    Examples:
      | what                    | first  | nearest | last | offered              |
      | Q4_K_M is there         | Q4_K_L | Q4_K_M  | Q4_0 | Q4_0, Q4_K_L, Q4_K_M |
      | Q5_K_M is nearest to 4  | Q2_K   | Q5_K_M  | F16  | Q2_K, Q5_K_M, F16    |
      | two are as near         | Q3_K_M | Q5_K_M  | Q8_0 | Q3_K_M, Q5_K_M, Q8_0 |
      | one of 4 is a K-quant   | IQ4_NL | Q4_K_S  | Q4_0 | IQ4_NL, Q4_0, Q4_K_S |

  @beyond
  Scenario: Nothing named, and one is here already
    Given the Hub has lab/many with these files
      | file             | content      |
      | many-Q4_K_M.gguf | small Q4_K_M |
      | many-Q8_0.gguf   | small Q8_0   |
    And a hive that an operator started
    And hf:lab/many:Q8_0 has been fetched before
    When the hive is asked to fetch lab/many
    Then it is fetched
    And the hive said that it is at lab/many/many-Q8_0.gguf
    And it ended with lab/many/many-Q8_0.gguf complete, without a check, then [DONE]
    When the hive is asked to fetch hf:Lab/MANY:q8_0
    Then it is fetched
    And the hive said that it is at lab/many/many-Q8_0.gguf
    And the Hub was asked for nothing more

  @beyond
  Scenario: Of two files with the quantization that is named, the one with the shorter name
    Given the Hub has lab/many with these files
      | file                         | content         |
      | a/many-instruct-Q8_0.gguf    | small longer    |
      | many-q8_0.gguf               | small Q8_0      |
      | many-fp16.gguf               | small F16       |
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/many:q8_0
    Then it is fetched
    And the models folder holds lab/many/many-q8_0.gguf
    When the hive is asked to fetch hf:lab/many:F16
    Then it is fetched
    And the models folder holds lab/many/many-fp16.gguf and lab/many/many-q8_0.gguf

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
    And the Hub sends 80 MB a second
    And the setting worker.context is 512
    And a queen and a hive that an operator started
    When I run `rbee-keeper models info hf:lab/parts`
    Then it exits with 0
    And the sha256 of all 3 parts is told as the Hub has it
    When I run `rbee-keeper infer --model hf:lab/parts --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And standard error says "fetching hf:lab/parts/smollm2-00001-of-00003.gguf (98 MB)"
    And standard error showed the progress in percent of 98 MB and in MB/s
    And the preflight reports that all 3 parts count
    And the model-loader reports GGUF, llama, 98 MB in 3 files
    And the models folder holds lab/parts/smollm2-00001-of-00003.gguf, lab/parts/smollm2-00002-of-00003.gguf and lab/parts/smollm2-00003-of-00003.gguf
    And the catalog has 1 row
    And the row for hf:lab/parts/smollm2-00001-of-00003.gguf has 3 files, 98362752 bytes in all
    When the worker is told to shut down through its hive
    And the hive lists no worker after 10 s
    And I run `rbee-keeper infer --model file:<models folder>/lab/parts/smollm2-00002-of-00003.gguf --prompt hi`
    Then it exits with 1
    And the error is INVALID_MODEL_REF
    And the next step says "Did you mean file:<models folder>/lab/parts/smollm2-00001-of-00003.gguf?"
    When I run `rbee-keeper models verify hf:lab/parts/smollm2-00002-of-00003.gguf --json`
    Then it exits with 0
    And its events tell how far all 3 parts are hashed, one after the other
    When one bit of lab/parts/smollm2-00003-of-00003.gguf is flipped
    And I run `rbee-keeper models verify hf:lab/parts`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And the error names lab/parts/smollm2-00003-of-00003.gguf, its sha256, and that of the Hub as the expected one
    When a person deletes lab/parts/smollm2-00002-of-00003.gguf in the models folder
    And I run `rbee-keeper infer --model file:<models folder>/lab/parts/smollm2-00001-of-00003.gguf --prompt hi`
    Then it exits with 1
    And the error is MODEL_CORRUPT
    And standard error says "part 2 of 3 is missing: smollm2-00002-of-00003.gguf"
    And the next step says "rbee-keeper models download hf:lab/parts/smollm2-00001-of-00003.gguf"
    When I run `rbee-keeper models download hf:lab/parts`
    Then it exits with 0
    And the Hub was asked 1 time for smollm2-00001-of-00003.gguf
    And the Hub was asked 2 times for smollm2-00002-of-00003.gguf
    And the Hub was asked 2 times for smollm2-00003-of-00003.gguf
    And the file lab/parts/smollm2-00002-of-00003.gguf is the one on the Hub
    And the file lab/parts/smollm2-00003-of-00003.gguf is the one on the Hub
    When I run `rbee-keeper models delete hf:lab/parts`
    Then it exits with 0
    And standard output says "98 MB are free again"
    And the models folder holds no model

  @beyond
  Scenario: A model that can't fit is refused by its header, and one that fits is named
    Given the setting worker.context is 512
    And the Hub has lab/giant with these files
      | file            | content    |
      | giant-F16.gguf  | enormous   |
      | giant-Q4_1.gguf | bundled    |
      | giant-Q2_K.gguf | small Q2_K |
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model hf:lab/giant:F16 --prompt hi`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And standard error says "hf:lab/giant/giant-Q4_1.gguf would fit"
    And the next step says "--model hf:lab/giant/giant-Q4_1.gguf"
    When I run `rbee-keeper models download hf:lab/giant:F16`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And the error names 1.2 times the size of the enormous model, and all the memory of this machine
    And standard error says "hf:lab/giant/giant-Q4_1.gguf would fit"
    And nothing but headers of files was asked for, at most 9 MB
