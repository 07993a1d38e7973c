@beyond @claude-code
Feature: Claude Code works with the models of the home lab
  The real program from npm, with its own system prompt and tools, and a model that does as it was
  told. It runs where `python -m harness.npm_programs claude-code` has fetched it.

  Scenario: A question that is answered with a tool
    Given the setting worker.context is 32768
    And a persistent queen
    And a note that says "The kettle is on the roof.", and a model that reads it and answers "On the roof."
    When Claude Code is asked "Where is the kettle?"
    Then it has read the note with its own tool, and answers as the model does
    And the second question to the model found the first in the cache
    When Claude Code is asked for more than the model can read
    Then it says that the prompt is too long, and how long it may be
