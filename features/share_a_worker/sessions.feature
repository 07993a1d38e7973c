@beyond
Feature: The tasks of a session go back to their worker
  There the beginning of the next prompt is in the cache. But nobody waits for it while another worker is free.

  Scenario: Two workers of one model, and two sessions
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a second worker of the bundled model
    When a task of the session a streams, and meanwhile one of the session b is answered
    Then they have different workers
    And llama.cpp's slots and properties are those of both workers
    When tasks of the sessions b, a, b, a are answered
    Then each is answered by the worker of its session
    When the session whose worker is not the first choice is asked for chats, by key, by header, and by neither
    Then only the second of them has found its prompt in the cache
    And whatever header names the session, it has found it there, and so have other protocols
    Given a key for laptop
    Then a task of laptop under the name of that session goes to the first choice
    And a completion for a slot of llama.cpp's goes back to its worker, too
    When a task of the session a streams, and meanwhile one of the session a is answered
    Then they have different workers
