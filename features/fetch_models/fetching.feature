Feature: A model is fetched when it is first needed
  Named by its place on the Hub, it is looked up in the node's catalog, and fetched if it is not
  there: with its progress in bytes and speed, and under its name only after its sha256 is checked.

  @t001-07 @happy @B11.2
  Scenario: From nothing to the answer, with the model still on the Hub
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And the Hub sends 30 MB a second
    And a persistent queen
    When I run `rbee-keeper infer --node localhost --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 20 --temperature 0 --backend cpu --device 0 --json`
    Then it exits with 0
    And the answer has exactly 20 tokens
    And the tokens are numbered from 0 without a gap
    And the phases are shown in order, "worker preflight" right after "model provisioning"
    And standard error says "fetching hf:lab/smol/smol-Q4_1.gguf (98 MB)"
    And standard error showed the progress in percent of 98 MB and in MB/s
    And the speed shown at the end is that of the Hub
    And standard error says "<models folder>/lab/smol/smol-Q4_1.gguf is whole (sha256 checked)"
    And it was fetched whole, in one transfer
    And the file lab/smol/smol-Q4_1.gguf is the one on the Hub
    And SQLite finds one row by provider hf and reference hf:lab/smol/smol-Q4_1.gguf, with the contract's columns
    And the only worker is idle, with the model hf:lab/smol/smol-Q4_1.gguf, on cpu 0

  @t001-15 @B4.4
  Scenario: A model in the catalog is not fetched
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And a queen and a hive that an operator started
    And hf:lab/smol/smol-Q4_1.gguf has been fetched before
    When I run `rbee-keeper infer --model hf:lab/smol/smol-Q4_1.gguf --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the Hub was asked for nothing more
    And standard error says "model provisioning: hf:lab/smol/smol-Q4_1.gguf is on disk"
    And the phases are shown in order, "worker preflight" right after "model provisioning"

  @t001-16
  Scenario: A model that is not there is fetched, and each step is reported
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 10 MB a second
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the stream reported a growing number of bytes, of 14878880, at the speed of the Hub
    And it ended with lab/small/small.gguf complete, then [DONE]
    And whoever asks for its progress later is told that end
    And SQLite finds one row by provider hf and reference hf:lab/small/small.gguf, with the contract's columns

  @t001-16
  Scenario: A bar on a terminal
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 10 MB a second
    When I type `rbee-keeper models download hf:lab/small/small.gguf` on a terminal
    Then it exits there with 0
    And the terminal showed a bar that moved, in MB of 15 MB, at the speed of the Hub
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: Without a terminal the progress comes in lines, and standard output is the path
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 10 MB a second
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And standard error showed the progress in percent of 15 MB and in MB/s
    And the speed shown at the end is that of the Hub
    And standard error says "<models folder>/lab/small/small.gguf is whole (sha256 checked)"
    And standard output is the path of lab/small/small.gguf in the models folder
    And nothing is running

  @t001-18 @B4.2 @B4.3
  Scenario: The catalog's row, as SQLite itself reads it
    Given the Hub has lab/small with small-Q4_K_M.gguf, the small Q4_K_M model
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q4_K_M
    Then it is fetched
    And SQLite finds one row by provider hf and reference hf:lab/small/small-Q4_K_M.gguf, with the contract's columns
    And the row has the path of lab/small/small-Q4_K_M.gguf, its size, its sha256, Q4_K_M and the present time
    And the catalog is kept in WAL mode, with a version
    When the hive is restarted
    Then SQLite finds one row by provider hf and reference hf:lab/small/small-Q4_K_M.gguf, with the contract's columns
    And the hive's list has hf:lab/small/small-Q4_K_M.gguf as ready

  @t001-22 @gguf
  Scenario: The size on disk is the catalog's size and the one in the preflight's arithmetic
    Given the setting worker.context is 512
    And the Hub has lab/smol with smol-Q8_0.gguf, the Q8_0 model
    And a queen and a hive that an operator started
    When I run `rbee-keeper infer --model hf:lab/smol/smol-Q8_0.gguf --prompt hi --max-tokens 1`
    Then it exits with 0
    And the catalog's size of hf:lab/smol/smol-Q8_0.gguf is that of lab/smol/smol-Q8_0.gguf on disk
    And the preflight reports that <Q8_0> needs 1.2 times its size, and what is free

  @beyond
  Scenario: Another folder for the models, and another place for the catalog
    Given the Hub has lab/small with small.gguf, the small model
    And the setting models.dir is "<home>/my models"
    And the setting paths.catalog_db is "<home>/my catalog.db"
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the file <home>/my models/lab/small/small.gguf is still there
    And the catalog <home>/my catalog.db has hf:lab/small/small.gguf, and there is no other
    Given the setting models.dir is "<home>/other models"
    When the hive is restarted
    And I run `rbee-hive models delete hf:lab/small`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf is not listed any more"
    And the file <home>/my models/lab/small/small.gguf is still there
    When I run `rbee-hive models list --json`
    Then standard output is exactly []

  @beyond
  Scenario: A file in a folder of its repository
    Given the Hub has lab/small with gguf/8-bit/small-Q8_0.gguf, the small Q8_0 model
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q8_0
    Then it is fetched
    And the models folder holds lab/small/gguf/8-bit/small-Q8_0.gguf
    And SQLite finds one row by provider hf and reference hf:lab/small/gguf/8-bit/small-Q8_0.gguf, with the contract's columns

  @beyond
  Scenario: A revision has a folder of its own
    Given the Hub has lab/small with small.gguf, the small model
    And its branch v2 has small.gguf, the small changed model
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small@v2/small.gguf
    Then it is fetched
    When the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched
    And the models folder holds lab/small/small.gguf and lab/small@v2/small.gguf
    And the file lab/small/small.gguf is the one on the Hub
    And the file lab/small@v2/small.gguf is the one on the Hub's branch v2
    And the catalog has 2 rows
    When the hive is asked to fetch hf:lab/small@main/small.gguf
    Then the hive said that it is at lab/small/small.gguf
    When the hive is asked to fetch hf:lab/small@v2:F16
    Then the hive said that it is at lab/small@v2/small.gguf
    And the catalog has 2 rows

  @beyond
  Scenario: A mirror whose listings say no sizes is asked for those of the files
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub's listings say no sizes
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then it is fetched
    And the file lab/small/small.gguf is the one on the Hub
    And it ended with lab/small/small.gguf complete, then [DONE]

  @beyond
  Scenario: A mirror whose listings say no sha256: only the size is checked, and told so
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub's listings say no sha256
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small
    Then it is fetched
    And it ended with lab/small/small.gguf complete, checked by its size alone, then [DONE]

  @beyond
  Scenario: A name says one quantization, the header another: the header decides
    Given the Hub has lab/small with small-Q8_0.gguf, the small Q2_K model
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q8_0
    Then it is fetched
    And SQLite finds one row by provider hf and reference hf:lab/small/small-Q8_0.gguf, with the contract's columns
    And the row has the path of lab/small/small-Q8_0.gguf, its size, its sha256, Q2_K and the present time

  @beyond
  Scenario Outline: The built-in alias <alias>
    Given the Hub has <repository> with model-q4_k_m.gguf, the small Q4_K_M model
    And a hive that an operator started
    When the hive is asked to fetch <alias>
    Then it is fetched
    And the models folder holds <repository>/model-q4_k_m.gguf

    Examples:
      | alias     | repository                            |
      | tinyllama | TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF |
      | qwen-0.5b | Qwen/Qwen2.5-0.5B-Instruct-GGUF       |

  @beyond
  Scenario: The default model of the config file
    Given the setting models.default is "lab/smol"
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    When I run `rbee-keeper infer --prompt hi --max-tokens 1 --json`
    Then it exits with 0
    And the answer came from hf:lab/smol/smol-Q4_1.gguf

  @beyond
  Scenario: A model that fits into the machine's memory, and not into its first card
    Given graphics cards with 10 and 3815 MiB free
    And a llama.cpp that can use them
    And the Hub has lab/small with small.gguf, the small model
    When I run `rbee-hive models download hf:lab/small`
    Then it exits with 0
    And the file lab/small/small.gguf is the one on the Hub

  @beyond
  Scenario: From nothing, without waiting for the download
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 8 MB a second
    When I run `rbee-keeper models download --detach hf:lab/small/small.gguf`
    Then it exits with 0
    And the queen that was started is persistent
    And the transfer goes on
    And lab/small/small.gguf arrives within 10 s
