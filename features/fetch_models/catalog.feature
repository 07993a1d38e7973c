Feature: The catalog knows every model on a node, and none is lost
  The files are what counts; the catalog can be rebuilt from them.

  @beyond
  Scenario: A damaged catalog is rebuilt from the files
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And a hive that an operator started
    And hf:lab/small:Q4_K_M has been fetched before
    And hf:lab/small:Q8_0 has been fetched before
    When the hive is stopped, its catalog is damaged, and it is started again
    Then the hive's list is
      | reference                      | state | quantization |
      | hf:lab/small/small-Q4_K_M.gguf | ready | Q4_K_M       |
      | hf:lab/small/small-Q8_0.gguf   | ready | Q8_0         |
    And the catalog has 2 rows
    And the hive reported the damage and where the damaged file is
    And the damaged file is set aside
    And the models folder holds lab/small/small-Q4_K_M.gguf and lab/small/small-Q8_0.gguf
    When the hive is asked to fetch hf:lab/small:Q8_0
    Then it is fetched
    And the Hub was asked for nothing more

  @beyond
  Scenario: A damaged catalog is reported to the person whose command finds it
    Given a person placed the small model at lab/small/small.gguf in the models folder
    And there is a catalog, and it is damaged
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf"
    And standard error says "damaged"

  @beyond
  Scenario: A file placed by hand is a model
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a person placed the small model at mine.gguf in the models folder
    And the Hub is down
    And a queen and a hive that an operator started
    Then the hive's list is
      | reference                      | state | quantization |
      | hf:lab/smol/smol-Q4_1.gguf     | ready | Q4_1         |
      | file:<models folder>/mine.gguf | ready | F16          |
    When I run `rbee-keeper infer --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    When a person places the small Q8_0 model at lab/small/small-Q8_0.gguf in the models folder
    And I run `rbee-keeper models list`
    Then standard output says "hf:lab/small/small-Q8_0.gguf"

  @beyond
  Scenario: A file deleted by hand is no longer listed, and is fetched again when it is needed
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And a queen and a hive that an operator started
    And hf:lab/smol:Q4_1 has been fetched before
    When a person deletes lab/smol/smol-Q4_1.gguf in the models folder
    Then the hive's list is empty
    When I run `rbee-keeper infer --model hf:lab/smol:Q4_1 --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the Hub was asked 2 times for smol-Q4_1.gguf
    And the hive's list has hf:lab/smol/smol-Q4_1.gguf as ready

  @beyond
  Scenario: list, info and disk-usage
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And a queen and a hive that an operator started
    And hf:lab/small:Q4_K_M has been fetched before
    And hf:lab/small:Q8_0 has been fetched before
    When I run `rbee-keeper models list --json`
    Then it exits with 0
    And standard output is a JSON array of hf:lab/small/small-Q4_K_M.gguf and hf:lab/small/small-Q8_0.gguf, each ready on localhost
    When I run `rbee-keeper models info hf:lab/small:Q8_0`
    Then it exits with 0
    And standard output has the lines
      | line                                    |
      | reference: hf:lab/small/small-Q8_0.gguf |
      | quantization: Q8_0                      |
      | architecture: llama                     |
      | layers: 1                               |
      | state: ready                            |
    And standard output says "<models folder>/lab/small/small-Q8_0.gguf"
    And standard output says the sha256 of lab/small/small-Q8_0.gguf
    When I run `rbee-keeper models disk-usage`
    Then it exits with 0
    And the models listed add up to 30 MB, and the free disk space is shown
    And the Hub was asked for nothing more

  @beyond
  Scenario: verify finds one flipped bit, and keeps the file
    Given the Hub has lab/small with small.gguf, the small model
    And a queen and a hive that an operator started
    And hf:lab/small has been fetched before
    When I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf is whole"
    And standard output says the sha256 of lab/small/small.gguf
    When one bit of lab/small/small.gguf is flipped
    And I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And it is a clear message with a next step
    And the file lab/small/small.gguf is still there

  @beyond
  Scenario: delete removes the file and its row, but not from under a worker
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And a queen and a hive that an operator started
    And hf:lab/smol:Q4_1 has been fetched before
    And a worker for hf:lab/smol:Q4_1 is ready
    When I run `rbee-keeper models delete hf:lab/smol:Q4_1`
    Then it exits with 1
    And the error is MODEL_IN_USE
    And it is a clear message with a next step
    And the file lab/smol/smol-Q4_1.gguf is still there
    When the worker is told to shut down through its hive
    And the hive lists no worker after 10 s
    And I run `rbee-keeper models delete hf:lab/smol:Q4_1`
    Then it exits with 0
    And standard output says "98 MB are free again"
    And there is no file lab/smol/smol-Q4_1.gguf in the models folder, and the catalog has no row for it

  @beyond
  Scenario: delete touches nothing outside the models folder
    Given a person keeps the small model at <home>/own.gguf
    And a queen and a hive that an operator started
    When I run `rbee-keeper models delete file:<home>/own.gguf`
    Then it exits with 1
    And it is a clear message with a next step
    And the file <home>/own.gguf is still there

  @beyond
  Scenario: A file truncated by hand is reported, and fetched again
    Given the Hub has lab/small with small.gguf, the small model
    And a queen and a hive that an operator started
    And hf:lab/small/small.gguf has been fetched before
    When a person cuts lab/small/small.gguf in half
    And I run `rbee-keeper infer --model file:<models folder>/lab/small/small.gguf --prompt hi`
    Then it exits with 1
    And the error is MODEL_CORRUPT
    And standard error says "rbee-keeper models download hf:lab/small/small.gguf"
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario Outline: delete also removes a file that is <what>
    Given a person placed the <what> model at lab/small/small.gguf in the models folder
    And a queen and a hive that an operator started
    When I run `rbee-keeper models delete <reference>`
    Then it exits with 0
    And there is no file lab/small/small.gguf in the models folder, and the catalog has no row for it

    Examples:
      | what            | reference                                   |
      | empty           | hf:lab/small/small.gguf                     |
      | a shopping list | file:<models folder>/lab/small/small.gguf   |

  @beyond
  Scenario: With --json a failed download is an event too
    Given the Hub is down
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small --json`
    Then it exits with 1
    And the stream ended with the error DOWNLOAD_FAILED and without "done"
