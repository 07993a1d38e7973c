@beyond @scheduling
Feature: Nobody crowds out the others
  Keys take turns, by the tokens that each has used. Within one key, who came first is served first.

  Scenario: One of three keys floods the queue
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for flood
    And a key for laptop
    And a key for phone
    When a task of flood is answered, while another for 4000 tokens waits, which then streams
    And these wait in the queue, one after the other: flood, flood, flood, flood, laptop, phone, phone
    Then they are told at last the places 3, 5, 6, 7, 1, 2, 4
    When the first task of flood is deleted
    Then each of them is answered, laptop and the first of phone before the second of flood
    And the tasks of each key are answered in the order in which they came

  Scenario: Some keys have a larger share, and how many of a key's tasks wait has a limit
    The operator changes both while tasks wait. Nobody gets a new key, and nothing that runs ends.
    Given the setting worker.slots is 1
    And the setting queen.operator_weight is 2
    And a persistent queen, with a worker that has answered once
    And a key for flood
    And a key for laptop with `--weight 3 --queue-limit 3`
    And a key for phone
    And a key for tablet with `--queue-limit 0`
    And the operator asks with the queen's own key
    When a task of flood for 4000 tokens streams
    And these wait in the queue, one after the other: phone, phone, phone, laptop, laptop, laptop, operator, operator
    Then they are told at last the places 1, 7, 8, 2, 4, 6, 3, 5
    When tablet sends a task
    Then the answer is the error QUEUE_FULL
    And its details are {"slots_total": 1, "slots_busy": 1, "waiting": 0, "key": "tablet", "queue_limit": 0}
    When laptop sends a task
    Then the answer is the error QUEUE_FULL
    And its details are {"slots_total": 1, "slots_busy": 1, "waiting": 3, "key": "laptop", "queue_limit": 3}
    And the last decision is that a task of laptop was refused, since "the only slot is busy" and "8 of 64 wait"
    When laptop sends 199 tasks more, each of which is refused
    Then the last 200 decisions are kept, and they are these
    When I run `rbee-keeper auth change laptop --queue-limit none --weight 0.5 --limit 3`
    Then it exits with 0
    And standard output says "laptop may ask models and list them; at most 3 of its tasks at once; weight 0.5"
    When I run `rbee-keeper auth change phone --queue-limit 64`
    Then it exits with 0
    And standard output says "phone may ask models and list them; at most 64 of its tasks wait"
    When laptop sends a task
    Then the answer is 429 with the error TOO_MANY_REQUESTS
    And the queen answers POST /v2/keys/phone {"weight": 90, "queue_limit": 3} with
      """
      {"name": "phone", "prefix": "rbee_…_", "role": "use", "limit": null, "queue_limit": 3,
       "weight": 90.0, "models": [], "created_unix": "≈ <now> ± 60", "last_used_unix": "≈ <now> ± 60"}
      """
    When phone sends a task
    Then the answer is the error QUEUE_FULL
    And they are told at last the places 1, 4, 5, 2, 7, 8, 3, 6
    When the first task of flood is deleted
    Then they are answered in the order phone, laptop, operator, phone, phone, operator, laptop, laptop

  Scenario: What the tasks of a key read counts as what they write
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for flood
    And a key for reader
    And a key for writer
    When a task of flood for 4000 tokens streams
    And these wait: a task of reader with a prompt of 1500 words, one of writer for 200 tokens, and one more of each
    And the first task of flood is deleted
    Then they are answered in the order reader, writer, writer, reader
