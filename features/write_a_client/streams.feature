@beyond
Feature: A stream is server-sent events, in one form, and has an end

  Scenario: An answer, byte by byte
    Given a persistent queen, with a worker that has answered once
    When the bytes of the stream of {"prompt":"hi","max_tokens":3,"temperature":0,"ignore_eos":true} are read
    Then each event is its name and one line of JSON, and after [DONE] nothing comes
    And its events are accepted, narration, started, token, done and [DONE], in this order
    And its Content-Type is text/event-stream, and no cache may keep it

  Scenario: Silence is broken by a comment every 10 s
    Given a persistent queen, with a worker that has answered once
    When the bytes of the events of queen, hive and worker are read
    Then queen and worker send comments after a silence of 10 s, and no hive is silent longer

  Scenario: A client's correlation id goes all the way down
    Given the setting log.level is "debug"
    And the setting hive.health_interval_s is 1
    And a persistent queen
    When a task for 2 tokens is sent with the header X-Correlation-ID: client-4711.eu
    Then the answer has the correlation id "client-4711.eu"
    And each of its narration events has that correlation id
    And the log of queen-rbee has a line of its own with "POST /v2/tasks" and that correlation id
    And the log of rbee-hive has a line of its own with "POST /v1/workers/spawn" and that correlation id
    And the log of llm-worker-rbee has a line of its own with "POST /v1/inference" and that correlation id
    And once another task and a health check have been answered, no log has more lines with that correlation id
    When worker and hive get SIGTERM, one after the other
    Then the log of llm-worker-rbee has a line with "told to end: SIGTERM" and no correlation id
    And the log of rbee-hive has a line with "told to end: SIGTERM" and no correlation id

  Scenario: A correlation id is made for whoever sends none, or one that is impossible
    Given a queen and a hive that an operator started
    Then queen and hive answer each of these with a new correlation id of 16 hexadecimal digits
      | sent                   |
      | nothing                |
      | 129 characters         |
      | an empty one           |
      | a tab                  |
      | a letter outside ASCII |
    And they answer 128 characters with the same
