@beyond @alone
Feature: Many people share one worker
  A worker computes the next token of all its streams together. Nobody gets another's words, nobody
  waits for another's prompt, and a client that leaves makes room.

  # Alone, they have the whole machine.
  Background:
    Given the setting worker.threads is 2
    And a standalone worker with `--slots 8`

  Scenario: Eight streams at once are all correct
    When eight different prompts are answered at once, 48 tokens each
    Then all eight were under way at the same time
    And each token is one that the model alone would have chosen
    And with another stream's prompt the check fails
    And with a token missing in the middle the check fails

  Scenario: A hundred streams, a third canceled at random moments
    When a hundred streams have come and gone, every third canceled on the way
    Then every stream went as it should, and most of that third were cut short
    And all 8 slots are free within 5 s
    And the worker needs no more memory than before

  Scenario: A client that goes away frees its slot
    When a client goes away in the middle of an answer
    Then all 8 slots are free within 2 s
    And the worker is alive and answers the next prompt

  # Five tries, since other programs on this machine can only make it look slower than it is.
  Scenario: DELETE stops the work in the middle of an answer
    When five answers are deleted, each in the middle
    Then the slot was free within 200 ms at best, and within 2 s in every case
    And each of them ended with REQUEST_CANCELED
    And deleting one of them again, or one that never existed, is answered with 204

  # However long a step with a part of the prompt takes.
  Scenario: DELETE stops the reading of a long prompt
    When three prompts of 4000 words are deleted, each while it is read
    Then the slot was free within 200 ms in two of three cases, and within 1 s in every case
    And each of them ended with REQUEST_CANCELED, and no token had come

  Scenario: A long prompt does not freeze the others
    When three streams are under way, and a prompt of 1000 words comes in
    Then each of the three gets at least 5 tokens while that is read

  Scenario: Streams get their grace period, then end with an error
    When the worker is told to shut down while a short and a long answer are under way
    Then the short one is whole
    And the long one ended with SHUTTING_DOWN after the grace of 2 s
    And the worker exited with 0
