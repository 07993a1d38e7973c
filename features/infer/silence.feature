@beyond
Feature: A silence is not an end
  Between two events there may be much time. A comment every 10 s says that the stream is alive.

  Scenario: A worker that hangs for a while
    Given a persistent queen, with a worker that has answered once
    And somebody watches the hive's events
    When a task for 100 tokens streams
    And the worker hangs in the middle of the answer
    Then the queen breaks the silence with a comment after 10 s, and no hive is silent longer
    When the worker goes on
    Then the answer has all of its 100 tokens

  Scenario: A worker that hangs for longer than a stream may be silent
    Given the setting times.stream_silence_s is 12
    And a persistent queen, with a worker that has answered once
    When a task for 100 tokens streams
    And the worker hangs in the middle of the answer
    Then the stream ends with the error WORKER_CRASHED and [DONE]
    And its worker was lost after as many of 100 tokens as came, silent for 12 s, by the clock too
    When the worker goes on
    Then the worker is idle within 15 s, and the queen counts no task
