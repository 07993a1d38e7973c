@beyond
Feature: What the documentation shows of workers is what happens

  Scenario: The page about workers
    When each command of the page docs/how-to/workers.md is typed
    Then each of the 6 shows what the page says, apart from figures
    And nothing is running
