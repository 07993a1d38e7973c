@beyond
Feature: How likely each token was, and what moves it
  Likelihoods are the model's own: whatever temperature, grammar or bias make of them.

  Scenario: Probabilities of the tokens, and of the likeliest in their places
    Given a standalone worker with `--slots 2`
    When an answer is made with logprobs 5, at temperature 2
    Then each token's logprob is the model's own, and so are the 5 likeliest, in order
    And the tokens and their bytes are those of the answer
    When an answer is made with logprobs 0, at temperature 2
    Then each token's logprob is the model's own, and so are the 0 likeliest, in order
    When an answer is held to " zebra" or " lion", with logprobs 5
    Then each token's logprob is the model's own, and so are the 5 likeliest, in order

  Scenario: Biases and penalties
    Given a standalone worker with `--slots 2`
    When the likeliest token is forbidden, and another one is made likelier by 40
    Then the answer begins with the other one
    When the worker is asked with a bias or a prompt with the id 49152, which the model does not have
    Then each is refused with INVALID_REQUEST, which names the field and the reason
    When an answer is made with presence_penalty 1.5 and frequency_penalty 0.5
    Then each token is the likeliest after those penalties, over the whole answer

  Scenario: The ids of a prompt's tokens
    Given a standalone worker with `--slots 2`
    When a prompt is answered as text, and as the ids of its tokens
    Then both answers are the same, and so is the number of tokens in the prompt

  Scenario: A long prompt tells how far it has been read
    Given a persistent queen
    When a task with a prompt of 1500 words is sent, and then once more with another end
    Then the progress of the first goes up to the whole prompt, and none of it was cached
    And the progress of the second begins behind what the cache had
    And at most ten events a second tell it
