@beyond
Feature: What was read of a prompt is kept in main memory
  Prompts that others have displaced need not be read again: their part of the KV cache is kept in main
  memory, up to `[worker] cache_ram_mb`.

  Scenario: More prompts than the context holds
    Given a standalone worker with `--slots 2 --context 512`
    When 4 prompts of 150 words are answered one after the other, and all of them once more
    Then the first time at most a few of their tokens were cached, and the second time all but a few
    And the metrics count the tokens that are kept, and the memory that they take
    And each second answer is one that the model would have given

  Scenario: No more than the setting allows
    Given the setting worker.cache_ram_mb is 8
    And a standalone worker with `--slots 2 --context 512`
    When 4 prompts of 150 words are answered one after the other, and all of them once more
    Then the metrics tell of at most 8 MB, and of more than 3

  Scenario: Turned off
    Given the setting worker.cache_ram_mb is 0
    And a standalone worker with `--slots 2 --context 512`
    When 4 prompts of 150 words are answered one after the other, and all of them once more
    Then both times at most a few of their tokens were cached
