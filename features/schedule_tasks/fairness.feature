@beyond @scheduling
Feature: Nobody crowds out the others
  Keys take turns, by the tokens that each has used. Within one key, who came first is served first.

  Scenario: One of three keys floods the queue
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for flood
    And a key for laptop
    And a key for phone
    When a task of flood for 4000 tokens streams
    And these wait in the queue, one after the other: flood, flood, flood, flood, laptop, phone, phone
    Then laptop and phone are told a place before the second of flood
    When the first task of flood is deleted
    Then each of them is answered, laptop and the first of phone before the second of flood
    And the tasks of each key are answered in the order in which they came
