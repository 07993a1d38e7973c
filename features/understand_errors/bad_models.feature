@beyond
Feature: A broken model is reported as broken
  Whatever a file claims to be, the error says what is wrong with it, and the node lives on.
  One world for many files: each must leave the next one a hive that works.

  Background:
    Given a queen and a hive that an operator started

  Scenario: Files that are truncated or not models
    When somebody asks for an answer from each of these files
      | file                     | code                     | words                                               | next step               |
      | empty                    | MODEL_CORRUPT            | empty                                               | Download the file again |
      | a shopping list          | UNSUPPORTED_MODEL_FORMAT | not a GGUF                                          | convert_hf_to_gguf.py   |
      | a Git LFS pointer        | MODEL_CORRUPT            | it is the Git LFS pointer of the file, not the file | git lfs pull            |
      | cut in half              | MODEL_CORRUPT            | cut short                                           | Download the file again |
      | cut in its header        | MODEL_CORRUPT            | header                                              | Download the file again |
      | noise behind the magic   | MODEL_CORRUPT            | version                                             | Download the file again |
      | noise behind the version | MODEL_CORRUPT            | claims                                              | Download the file again |
    Then each is refused with its code and the reason in those words, a next step and exit code 1
    And the hive is the same process, and no worker is left
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0

  Scenario: Headers that lie
    Given somebody watches the hive's events
    When somebody asks for an answer from each of these files
      | file                          | code                     | words         |
      | too many tensors              | MODEL_CORRUPT            | tensors       |
      | one tensor too many           | MODEL_CORRUPT            | cut short     |
      | too many fields               | MODEL_CORRUPT            | fields        |
      | five thousand fields          | MODEL_CORRUPT            | 4096 fields   |
      | one field too few             | MODEL_CORRUPT            | header        |
      | no layers                     | MODEL_CORRUPT            | block_count   |
      | too many layers               | MODEL_CORRUPT            | 2147483648    |
      | one layer too many            | MODEL_CORRUPT            | blk.30        |
      | no context                    | MODEL_CORRUPT            | context_length |
      | an absurd context             | MODEL_CORRUPT            | 2147483647    |
      | a vocabulary that lies        | MODEL_CORRUPT            | 32000         |
      | fewer embeddings than words   | MODEL_CORRUPT            | can't be loaded |
      | an end outside the vocabulary | MODEL_CORRUPT            | 49152         |
      | a missing tensor              | MODEL_CORRUPT            | blk.7.attn_q.weight |
      | a tensor turned around        | MODEL_CORRUPT            | blk.7.ffn_down.weight |
      | an unknown architecture       | UNSUPPORTED_MODEL_FORMAT | lhama         |
      | two million tensors           | MODEL_CORRUPT            | 16384 tensors |
      | a text of two gigabytes       | MODEL_CORRUPT            | chat_template |
      | words without end             | MODEL_CORRUPT            | 4000000 texts |
    Then each is refused with its code and the reason in those words, a next step and exit code 1
    And the hive is the same process, and no worker is left
    And the hive told of each worker that could not load, with the error that was shown
    And the hive never had more than 300 MB in memory
    When I run `rbee-keeper infer --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0

  Scenario: Files made in the same way, without a fault, work
    When the hive is asked to spawn a worker for <unbroken> on cpu 0
    Then the worker becomes idle
