@beyond @openai @anthropic @ollama @llama_cpp
Feature: All protocols at the same queen
  A household has programs of every kind. They share the models, their slots, and what was read.

  Scenario: A conversation in one protocol streams while the others ask the same
    Given a persistent queen, with a worker that has answered once
    When OpenAI's chat streams a long answer, and the same conversation is asked in every other protocol
    Then each was answered while the first one streamed, after a prompt of the same length
    And those that tell what was cached found nearly all of the prompt there
    When <that thinks> is asked to think, and not to think, in the protocols of others
    Then each tells that it thought "Hm." apart from "Yes.", or the text alone
    And a response tells how many of its tokens were thought
    And each reads 10000 turns, and says that one more is too many

  Scenario: Eight streams of each protocol at once
    Given the setting queen.queue_limit is 100
    And a persistent queen
    When eight answers of each protocol are streamed at once, each with a text of its own
    Then every stream says its own text, and has come to its end

  Scenario: Clients of each protocol that close, that ask for too much, and whose worker is killed
    Given the setting worker.slots is 6
    And a persistent queen, with a worker that has answered once
    When an answer streams in each protocol in turn, and its client closes it in the middle
    Then each time the worker is idle within 1 s
    Given a key for laptop with `--limit 1`
    When laptop asks in each protocol while its own task for 6000 tokens streams
    Then each is refused with 429, and told when to try again where its package can tell
    When an answer streams in each protocol at once, and their worker is killed in the middle
    Then each has its beginning, no end, and an error that names the worker

  Scenario: An answer that fills the context
    Given the setting worker.context is 256
    And a persistent queen, with a worker that has answered once
    When each protocol is asked for 1000 tokens, which its model can't end before
    Then each says in its own words that the context was full
