@beyond
Feature: A model calls functions
  A request says which functions there are. What the model calls comes in a channel of its own; rbee
  runs none of them.

  Scenario: A call that must come
    Given a standalone worker with `--slots 2`
    When 6 answers must call one of two functions, at temperature 1.2
    Then each is calls of those functions, whose arguments are valid after their schemas
    And each ends with TOOL_CALLS, with its calls numbered and an id for each
    When the second function must be called, and when only one call may come
    Then both answers are one call, the first of the second function
    When a function without parameters must be called, and a quotation mark is made likelier by 100
    Then it is called without arguments

  Scenario: Each family of models calls in its own way
    Given the setting worker.context is 2048
    When a model of each of these families is offered two functions
      | family                       | reasons |
      | hermes                       | no      |
      | qwen3                        | yes     |
      | qwen3-coder                  | no      |
      | llama-3                      | no      |
      | llama-4                      | no      |
      | mistral-list                 | no      |
      | mistral-named                | yes     |
      | gemma-3                      | no      |
      | functiongemma                | no      |
      | gemma-4                      | yes     |
      | granite                      | yes     |
      | gpt-oss                      | yes     |
      | deepseek-r1                  | no      |
      | deepseek-v3.1                | no      |
      | deepseek-v3.2                | no      |
      | phi                          | no      |
      | command-r                    | yes     |
      | glm                          | yes     |
      | kimi-k2                      | no      |
      | minimax                      | no      |
      | seed                         | yes     |
      | lfm2                         | no      |
      | hunyuan                      | no      |
      | jamba                        | no      |
      | nemotron                     | no      |
      | internlm                     | no      |
      | functionary                  | no      |
      | a template that teaches none | no      |
    Then each of those that reason does so, and then each calls weather for Paris
    When each must call one, and is not taught to reason
    Then each of those that reason does so, and then each calls weather for Paris

  Scenario: The same words are a call only where functions are offered
    Given a standalone worker with `--slots 2`
    When the model is made to write a call without functions, and with tool_choice none
    Then both answers are text, with EOS

  Scenario: A call of a function that is not offered is text
    Given a standalone worker for <that calls> with `--slots 1`
    When it is asked with another function than the one that it calls
    Then its answer is text that says "weather", with EOS

  Scenario: A person gets each call as a line of JSON
    Given a persistent queen
    And the file weather.json has the text "{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}"
    When I run `rbee-keeper infer --model <that calls> --tools weather.json --prompt "Does it rain in Rome?"`
    Then it exits with 0
    And standard output is exactly {"name":"weather","arguments":{"city":"Rome"}}

  Scenario: Tools that can't be had
    Given a standalone worker with `--slots 2`
    When the worker is asked with each of these tools
      | fields                                                                                                     | names                         |
      | {"tools": [{"type": "web_search"}]}                                                                        | tools[0].type                 |
      | {"tools": [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "a"}}]} | tools                         |
      | {"tool_choice": "required"}                                                                                | tool_choice                   |
      | {"tool_choice": {"type": "function", "function": {"name": "b"}}}                                           | tool_choice                   |
      | {"tools": [{"type": "function", "function": {"name": "a", "strict": true, "parameters": {"not": {}}}}]}    | tools[0].function.parameters  |
      | {"messages": null, "prompt": "Rain?", "tools": [{"type": "function", "function": {"name": "a"}}]}          | tools                         |
      | {"grammar": "root ::= \"a\"", "tools": [{"type": "function", "function": {"name": "a"}}]}                | grammar                       |
    Then each is refused as INVALID_REQUEST and names that field
