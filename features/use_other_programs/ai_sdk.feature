@beyond @ai-sdk
Feature: Programs that were written with the AI SDK work with the models of the home lab
  The real packages from npm, with a provider for each protocol of the queen. They run where
  `python -m harness.npm_programs ai-sdk` has fetched them.

  Scenario: One provider after the other
    Given a persistent queen
    When the AI SDK asks the bundled model and <that calls> with each of its providers
    Then each of its 5 providers gets a text and its usage, and OpenAI's get the same whole and streamed
    And each runs its function for "Rome", whole and streamed, and ends with "It rains in Rome."
    And each has the bundled model call the function that it must call, and no other
    And each gets an object after its schema
    And each reads of an unknown model that it is not there, with 404
    And those that make vectors get 2 of 576 numbers
