Feature: A hive starts a worker and knows it from then on

  Background:
    Given the setting worker.mmap is false
    And a hive that an operator started

  @t001-27 @B6.5
  Scenario Outline: The process, its port and what the hive answers
    When the hive is asked to spawn a worker for <large> on <backend> 0
    Then the hive answers with a worker's id, its url and the state "loading"
    And the worker's command line names the model <large>, the backend "<backend>", the device "0" and its port
    And no secret is in any command line, environment, output or log
    And the worker's port is 8001, bound by that process
    When the worker is asked whether it is ready
    Then it says that it is loading, and where to follow its progress

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |

  @t001-27
  Scenario: The ready callback
    When a worker for <large> is started by hand, with a stranger as its callback
    Then the stranger receives worker_id, url, model_ref, backend and device, and nothing else
    And at that moment the worker answered at its url that it is loading

  @t001-28 @B3.3 @B3.4 @wire
  Scenario: The callback is acknowledged and the registry updated
    A worker whose callback does not come is listed too, but only after 3 s.
    Given somebody watches the wire
    And somebody watches the hive's events
    When the hive is asked to spawn a worker for <large> on cpu 0
    Then the worker called the hive back, once, with the five values that /proc and the hive have
    And the hive acknowledged it with a message
    And the hive reports the worker within 2 s, while it loads
    And the worker does not call back again within 1 s
    And the hive lists that worker with what its own process says
    When the ready callback of that worker is sent again
    Then the callback is acknowledged with a message
    And the hive lists that worker with what its own process says
    When the ready callback of a worker that nobody started is sent
    Then the callback is refused with 404

  @beyond
  Scenario: A ready callback that nobody answers is sent again, and the worker serves meanwhile
    When a worker for <bundled> is started by hand, with a stranger that answers no callback
    Then the stranger receives the same callback 3 times, after pauses of 0.2 and 0.4 s
    And the worker is ready before the stranger receives it 6 times

  @t001-29 @B3.5 @B6.4 @B6.5
  Scenario Outline: The registry's row lives in memory only
    When the hive is asked to spawn a worker for <large> on <backend> 0 with 1 slot
    Then the hive lists it as loading, with 1 slot in all and 0 free
    When the hive is restarted
    And the hive is asked for its workers
    Then the reply is exactly {"workers": []}
    And the worker is gone after 0 s

    Examples:
      | backend |
      | cpu     |

    @gpu
    Examples: With a graphics card
      | backend |
      | cuda    |
