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
    And standard error says that the catalog was damaged, and where it is kept

  @beyond
  Scenario: A file placed by hand is a model
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a person placed the small model at mine.GGUF in the models folder
    And the Hub is down
    And a queen and a hive that an operator started
    Then the hive's list is
      | reference                      | state | quantization | provider | files |
      | hf:lab/smol/smol-Q4_1.gguf     | ready | Q4_1         | hf       | 1     |
      | file:<models folder>/mine.GGUF | ready | F16          | file     | 1     |
    And each row of the list has its file's path, size and time, and no sha256
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
    Then the hive's list notes once that lab/smol/smol-Q4_1.gguf is not there any more
    And the hive's list is empty
    When I run `rbee-keeper infer --model hf:lab/smol:Q4_1 --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the Hub was asked 2 times for smol-Q4_1.gguf
    And the hive's list has hf:lab/smol/smol-Q4_1.gguf as ready

  @beyond
  Scenario Outline: A model whose file was deleted by hand answers while its worker runs, as <name>
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And a queen and a hive that an operator started
    And hf:lab/smol:Q4_1 has been fetched before
    And a worker for <loaded> is ready
    When a person deletes lab/smol/smol-Q4_1.gguf in the models folder
    And I run `rbee-keeper infer --model <name> --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the Hub was asked 1 time for smol-Q4_1.gguf
    And OpenAI's route for chats answers for <name> with 5 tokens
    When I run `rbee-keeper stop <other>`
    Then it exits with 1
    And the next step says "rbee-keeper ps"
    When I run `rbee-keeper stop <name>`
    Then it exits with 0
    And the hive lists no worker after 10 s

    Examples:
      | loaded                                         | name                                           | other                                      |
      | hf:lab/smol:Q4_1                               | hf:Lab/smol                                    | hf:lab/smol/other.gguf                     |
      | hf:lab/smol:Q4_1                               | hf:Lab/smol:Q4_1                               | hf:Lab/smol:Q8_0                           |
      | file:<models folder>/lab/smol/smol-Q4_1.gguf   | file:<models folder>/lab/smol/smol-Q4_1.gguf   | file:<models folder>/lab/smol/other.gguf   |

  @beyond
  Scenario: What has changed on the Hub since it was deleted by hand
    Given the Hub has lab/small with small.gguf, the small model
    And a hive that an operator started
    And hf:lab/small/small.gguf has been fetched before
    When a person deletes lab/small/small.gguf in the models folder
    And small.gguf in lab/small is changed on the Hub to the small changed model
    And another program writes into the catalog
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then lab/small/small.gguf arrives within 10 s
    But it is not told as complete before it is in the catalog
    And it is fetched
    And SQLite finds one row by provider hf and reference hf:lab/small/small.gguf, with the contract's columns
    And the row has the path of lab/small/small.gguf, its size, its sha256, F16 and the present time

  @beyond
  Scenario: list, info and disk-usage
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_1.gguf   | bundled      |
      | small-Q8_0.gguf   | small Q8_0   |
    And the setting worker.context is 512
    And a queen and a hive that an operator started
    And hf:lab/small:Q8_0 has been fetched before
    And hf:lab/small:Q4_1 has been fetched before
    When I run `rbee-keeper models list --json`
    Then it exits with 0
    And standard output is a JSON array of hf:lab/small/small-Q4_1.gguf and hf:lab/small/small-Q8_0.gguf, each ready on localhost
    And it has the values of the catalog, and every byte of each
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard output has the lines
      | line                                     |
      | REFERENCE QUANTIZATION SIZE STATE        |
      | hf:lab/small/small-Q4_1.gguf Q4_1 98 MB ready |
      | hf:lab/small/small-Q8_0.gguf Q8_0 15 MB ready |
    When I run `rbee-keeper models info hf:lab/small:Q4_1`
    Then it exits with 0
    And standard output has the lines
      | line                                               |
      | reference: hf:lab/small/small-Q4_1.gguf            |
      | state: ready                                       |
      | path: <models folder>/lab/small/small-Q4_1.gguf    |
      | size: 98 MB                                        |
    And standard output has the sha256 of lab/small/small-Q4_1.gguf, and what its header says
    And it says that the model needs 1.2 times its size, and what memory there is
    When I run `rbee-keeper models disk-usage`
    Then it exits with 0
    And it lists the sizes of the files, the largest first, their sum, and the space on the disk
    When I run `rbee-hive models disk-usage`
    Then it exits with 0
    And it lists the sizes of the files, the largest first, their sum, and the space on the disk
    And the Hub was asked for nothing more

  @beyond
  Scenario: info of a model that is still on the Hub
    Given the setting worker.context is 512
    And the Hub has lab/giant with these files
      | file             | content    |
      | giant-F16.gguf   | enormous   |
      | giant-Q6_K.gguf  | larger than what is free |
      | giant-Q2_K.gguf  | bundled    |
      | giant-Q8_0.gguf  | small Q8_0 |
    And a queen and a hive that an operator started
    When I run `rbee-keeper show hf:lab/giant:Q2_K`
    Then it exits with 0
    And standard output has the lines
      | line                                  |
      | reference: hf:lab/giant/giant-Q2_K.gguf |
      | state: not on this node               |
      | path: none                            |
      | size: 98 MB                           |
      | quantization: Q4_1                    |
    And standard output has the sha256 that the Hub has of giant-Q2_K.gguf
    And it lists what else there is, by size, and whether it fits into this machine
      | quantization | content    | fits |
      | Q8_0         | small Q8_0 | yes  |
      | Q2_K         | bundled    | yes  |
      | Q6_K         | larger than what is free | yes |
      | F16          | enormous   | no   |
    And nothing but headers of files was asked for, at most 8 MB

  @beyond
  Scenario: verify finds one flipped bit, and keeps the file
    Given the Hub has lab/small with small.gguf, the small model
    And a queen and a hive that an operator started
    And hf:lab/small has been fetched before
    When I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf is whole"
    And standard output says the sha256 of lab/small/small.gguf
    When I run `rbee-keeper models verify hf:lab/small/small.gguf --json`
    Then it exits with 0
    And its events tell how far lab/small/small.gguf is hashed, and at last its sha256, compared
    When one bit of lab/small/small.gguf is flipped
    And I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And the error names lab/small/small.gguf, its sha256, and that of the Hub as the expected one
    And it is a clear message with a next step
    And the next step says "rbee-keeper models delete hf:lab/small/small.gguf && rbee-keeper models download hf:lab/small/small.gguf"
    And the file lab/small/small.gguf is still there

  @beyond
  Scenario: verify finds the hash of a file that nobody fetched, and keeps it
    Given a person placed the small model at lab/small/small.gguf in the models folder
    And a queen and a hive that an operator started
    When I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf had no known hash to compare with"
    And standard output says the sha256 of lab/small/small.gguf
    When I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 0
    And standard output says "hf:lab/small/small.gguf is whole"
    When one bit of lab/small/small.gguf is flipped
    And I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH

  @beyond
  Scenario: delete removes one of two quantizations
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And a queen and a hive that an operator started
    And hf:lab/small:Q4_K_M has been fetched before
    And hf:lab/small:Q8_0 has been fetched before
    When I run `rbee-keeper models delete hf:lab/smal:Q8_0`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And the next step says "Did you mean hf:lab/small/small-Q8_0.gguf, hf:lab/small/small-Q4_K_M.gguf?"
    When I run `rbee-keeper models delete hf:lab/small:Q8_0`
    Then it exits with 0
    And standard output says "hf:lab/small/small-Q8_0.gguf is deleted: 15 MB are free again"
    And there is no file lab/small/small-Q8_0.gguf in the models folder, and the catalog has no row for it
    And the models folder holds lab/small/small-Q4_K_M.gguf
    And the hive's list is
      | reference                      | state | quantization |
      | hf:lab/small/small-Q4_K_M.gguf | ready | Q4_K_M       |
    And the catalog has 1 row
    And SQLite finds one row by provider hf and reference hf:lab/small/small-Q4_K_M.gguf, with the contract's columns
    And the row has the path of lab/small/small-Q4_K_M.gguf, its size, its sha256, Q4_K_M and the present time

  @beyond
  Scenario: delete removes a model from the node that is named, and from no other
    Given the added node workstation
    And a person placed the small model at lab/small/small.gguf in the models folder
    And a person placed the small model at lab/small/small.gguf in the models folder of workstation
    When I run `rbee-keeper models list --node workstation --json`
    Then it exits with 0
    And standard output is a JSON array of hf:lab/small/small.gguf, each ready on workstation
    When I run `rbee-keeper pool models --host workstation --json`
    Then it exits with 0
    And standard output is a JSON array of hf:lab/small/small.gguf, each ready on workstation
    When I run `rbee-keeper models download --node workstation file:/nowhere.gguf`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And the next step says "rbee-keeper models list --node workstation"
    When I run `rbee-keeper models delete --node workstation hf:lab/small/small.gguf`
    Then it exits with 0
    And workstation has no model
    And the models folder holds lab/small/small.gguf

  @beyond
  Scenario: What to do about a model of another node names that node
    Given the added node workstation
    And a person placed the small model at lab/small/small.gguf in the models folder
    And a person placed the small model at lab/small/small.gguf in the models folder of workstation
    When I run `rbee-keeper models verify hf:lab/small/small.gguf --node workstation`
    Then it exits with 0
    When one bit of lab/small/small.gguf is flipped on workstation
    And I run `rbee-keeper models verify hf:lab/small/small.gguf --node workstation`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And the next step says "rbee-keeper models delete hf:lab/small/small.gguf --node workstation && rbee-keeper models download hf:lab/small/small.gguf --node workstation"
    When I run `rbee-keeper models delete hf:another/one --node workstation`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And the next step says "rbee-keeper models list --node workstation"
    And the models folder holds lab/small/small.gguf

  @beyond
  Scenario: delete stops a download, and removes what has come
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 4 MB a second
    And a queen and a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 30 % of small.gguf has been sent
    And I run `rbee-keeper models delete hf:lab/small/small.gguf`
    Then it exits with 0
    And the transfer ends at the Hub within 2 s, unfinished
    And the stream ends with the error REQUEST_CANCELED and [DONE]
    And no partial file is left
    And the hive's list is empty

  @beyond
  Scenario: delete removes one of two quantizations that has come in part
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And a hive that an operator started
    And hf:lab/small:Q4_K_M has been fetched before
    And the Hub sends 4 MB a second
    When the hive is asked to fetch hf:lab/small:Q8_0
    And 30 % of small-Q8_0.gguf has been sent
    And the hive dies of SIGKILL
    And another program fetches into the partial file
    And I run `rbee-hive models delete hf:lab/small:Q8_0`
    Then it exits with 1
    And the error is MODEL_IN_USE
    And the partial file is kept
    When that program has ended
    And I run `rbee-hive models delete hf:lab/small:Q8_0`
    Then it exits with 0
    And no partial file is left
    And the models folder holds lab/small/small-Q4_K_M.gguf

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
    And the next step says "rbee-keeper worker stop --id worker-"
    And the file lab/smol/smol-Q4_1.gguf is still there
    When the worker is told to shut down through its hive
    And the hive lists no worker after 10 s
    And I run `rbee-keeper models delete hf:lab/smol:Q4_1`
    Then it exits with 0
    And standard output says "98 MB are free again"
    And there is no file lab/smol/smol-Q4_1.gguf in the models folder, and the catalog has no row for it

  @beyond
  Scenario: A model in memory is not deleted by another name of its file
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And mine.gguf in the models folder is another name of lab/smol/smol-Q4_1.gguf
    And a queen and a hive that an operator started
    And a worker for file:<models folder>/mine.gguf is ready
    When I run `rbee-keeper models delete hf:lab/smol`
    Then it exits with 1
    And the error is MODEL_IN_USE
    And the file lab/smol/smol-Q4_1.gguf is still there
    When the worker is told to shut down through its hive
    And I run `rbee-keeper models delete hf:lab/smol`
    Then it exits with 0
    And standard output says "hf:lab/smol/smol-Q4_1.gguf is deleted: 0 MB are free again"

  @beyond
  Scenario: delete says what is free only later
    The worker is not the hive's, so nothing keeps its file.
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And a standalone worker for lab/smol/smol-Q4_1.gguf in the models folder
    And a queen and a hive that an operator started
    When I run `rbee-keeper models delete hf:lab/smol:Q4_1`
    Then it exits with 0
    And standard output says "98 MB are free again when what has it in memory ends: llm-worker-rbee (pid <standalone worker>)"
    And there is no file lab/smol/smol-Q4_1.gguf in the models folder, and the catalog has no row for it

  @beyond
  Scenario: delete touches nothing outside the models folder
    Given the Hub has lab/small with other.gguf, the small model
    And a person keeps the small model at <models folder>/../own.gguf
    And a queen and a hive that an operator started
    When I run `rbee-keeper models delete file:<home>/.local/share/rbee/own.gguf`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And it is a clear message with a next step
    When I run `rbee-keeper models delete file:<models folder>/../own.gguf`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And it is a clear message with a next step
    And the file <models folder>/../own.gguf is still there
    Given lab/small in the models folder is a link to a folder with the small model
    When I run `rbee-keeper models delete hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is INVALID_REQUEST
    And standard error says "lab/small is a link to <linked folder>"
    And the file lab/small/small.gguf is still there
    When I run `rbee-keeper models download hf:lab/small/other.gguf`
    Then it exits with 1
    And the error is STATE_NOT_WRITABLE
    And standard error says "it is a link to <linked folder>"
    And <linked folder> holds small.gguf, and nothing else

  @beyond
  Scenario: delete removes the link to a model, and says what stays
    Given lab/small/small.gguf in the models folder is a link to the small model
    And a queen and a hive that an operator started
    When I run `rbee-keeper models delete hf:lab/small`
    Then it exits with 0
    And standard output says "0 MB are free again. What it was linked to stays: <linked file>"
    And the models folder holds no model
    And the file <linked file> is still there

  @beyond
  Scenario: A file truncated by hand is reported, and fetched again
    Given the Hub has lab/small with small.gguf, the small model
    And a queen and a hive that an operator started
    And hf:lab/small/small.gguf has been fetched before
    When a person cuts lab/small/small.gguf in half
    Then the hive lists hf:lab/small/small.gguf as damaged, with the bytes that are on the disk
    When I run `rbee-keeper models list`
    Then standard output says "damaged, 50 %"
    When I run `rbee-keeper models verify hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And the error names lab/small/small.gguf, its sha256, and that of the Hub as the expected one
    When I run `rbee-keeper infer --model file:<models folder>/lab/small/small.gguf --prompt hi`
    Then it exits with 1
    And the error is MODEL_CORRUPT
    And the next step says "rbee-keeper models delete hf:lab/small/small.gguf && rbee-keeper models download hf:lab/small/small.gguf"
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And the file lab/small/small.gguf is the one on the Hub
    When a person cuts lab/small/small.gguf in half
    And I run `rbee-keeper models delete hf:lab/small`
    Then it exits with 0
    And there is no file lab/small/small.gguf in the models folder, and the catalog has no row for it

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

  @beyond
  Scenario: A file with a name that a reference holds percent-encoded
    Given the Hub has lab/odd with né #1 100%.gguf, the small model
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/odd/n%C3%A9%20%231%20100%25.gguf`
    Then it exits with 0
    And the file lab/odd/né #1 100%.gguf is the one on the Hub
    When I run `rbee-keeper models list`
    Then it exits with 0
    And standard output says "hf:lab/odd/n%C3%A9%20%231%20100%25.gguf"
