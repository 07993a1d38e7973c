@beyond
Feature: The text is what was asked for
  Random choices can be repeated, stop sequences are never shown, and characters come whole.

  Background:
    Given a standalone worker with `--slots 4`

  # Alone, and with nothing kept from before: a batch of another width rounds in another way.
  Scenario: Random choices can be repeated with a seed, and differ without one
    When the same prompt is answered with temperature 0.8 and the seeds 11, 11 and 12
    Then the first two texts are the same and the third is another
    When the same prompt is answered with temperature 0.8 and no seed, three times
    Then at least two of the texts differ

  Scenario: A stop sequence is not shown, even when it lies across tokens
    When a text is stopped at words that begin in one of its tokens and end in the next
    Then the text ends right before those words, with STOP_SEQUENCE
    And no event has a part of them

  Scenario: Text that only begins like a stop sequence is shown
    When a text is made with stop sequences that begin like parts of it and then differ
    Then the whole text is shown, with MAX_TOKENS

  Scenario: Characters of several tokens come whole
    When the worker is made to repeat emoji, 36 tokens of them
    Then fewer than half of the events hold text, as each emoji is several tokens
    And every event that holds text holds whole emoji
