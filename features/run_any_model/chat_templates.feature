@beyond
Feature: A model's chat template makes a prompt of a conversation, and nothing else
  The template is a program that comes with the model, from strangers. It is rendered in a process of
  its own, which ends with whoever asked.

  Scenario: A template that loops is stopped, and others are answered meanwhile
    Given the setting worker.template_s is 8
    And a standalone worker for <looping> with `--slots 2`
    When a client sends a conversation for which the template loops
    Then the worker has 1 of its 2 slots free
    And another conversation is answered meanwhile
    And the first client is refused with 400 and INVALID_REQUEST, because of "The model's chat template took longer than 8 s"
    And the template's process is gone, and the worker is idle, within 5 s

  Scenario: The work on a template ends with whoever asked
    Given a standalone worker for <looping> with `--slots 2`
    When a client sends a conversation for which the template loops
    And that client goes away
    Then the template's process is gone, and the worker is idle, within 5 s
    When a client sends a conversation for which the template loops
    And that request is deleted
    Then the template's process is gone, and the worker is idle, within 5 s
    When a client sends a conversation for which the template loops
    And the worker that renders it is killed
    Then nothing is running after 5 s

  Scenario: Whatever belongs to a conversation reaches the template
    Given a standalone worker for <echoing> with `--slots 1`
    When a conversation with every field is answered, and then a prompt in the words of the template
    Then both prompts are the same, token by token

  Scenario: What a system says reaches a model whose template has no place for it
    Given a standalone worker for <systemless> with `--slots 1`
    When a system's "Be brief." and a user's "Rain?" are answered, and then "user: Be brief.\nRain?;>" as a prompt
    Then both prompts are the same, token by token
