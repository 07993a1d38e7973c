@beyond
Feature: Codex and opencode work with the models of the home lab
  The real programs from npm, with their own instructions and tools, and a model that does as it was
  told. They run where `python -m harness.npm_programs codex opencode` has fetched them.

  @codex
  Scenario: Codex, which asks for responses
    Given the setting worker.context is 32768
    And a persistent queen
    And a note with "The kettle is on the roof.", and a model that has codex show it and answers "On the roof."
    When the program codex is asked "Where is the kettle?"
    Then it has shown the note by a command of its own, and answers as the model does
    And its second question found half of its tokens in the cache
    When the program codex is asked for more than the bundled model can read
    Then it says that there is no room in the model's context

  @opencode
  Scenario: opencode, which asks for chats
    Given the setting worker.context is 32768
    And a persistent queen
    And a note with "The kettle is on the roof.", and a model that has opencode show it and answers "On the roof."
    When the program opencode is asked "Where is the kettle?"
    Then it has shown the note by a command of its own, and answers as the model does
