@beyond
Feature: A worker's metrics can be read by Prometheus

  Background:
    Given a worker with `--slots 2`, started by hand

  Scenario: The counters agree with the streams
    When three answers are made, one is canceled, and one is refused
    Then its counters of tokens are the sums of what the streams said
    And it has counted every request by its outcome
    And its histograms hold as many first tokens as there were, in all as long as they took
    And it says that 2 slots are there, and that 0 are busy
    And its memory is that of the process

  Scenario: A busy slot is counted, and shown to a client that has the key
    When an answer is under way
    Then it says that 2 slots are there, and that 1 is busy
    When its metrics are asked for without a key
    Then the answer is 401 with the error INVALID_API_KEY
