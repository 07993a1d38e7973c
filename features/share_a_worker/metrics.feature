@beyond
Feature: A worker's metrics can be read by Prometheus

  Background:
    Given a standalone worker with `--slots 2`

  Scenario: The counters agree with the streams
    When three answers are made, one is canceled, and one is refused
    Then its token counters are the sums of what the streams reported
    And it has counted every request by its outcome
    And its histograms agree with the number and the times of the first tokens
    And it reports 2 slots, of which 0 are busy
    And its memory is that of the process

  Scenario: A busy slot is counted, and shown to a client that has the key
    When an answer is under way
    Then it reports 2 slots, of which 1 is busy
    When it is asked to shut down unless it answers
    Then the answer is 409 with the error MODEL_IN_USE
    And it reports 2 slots, of which 1 is busy
    And a request that finds no slot is counted as refused
    When its metrics are asked for without a key
    Then the answer is 401 with the error INVALID_API_KEY
