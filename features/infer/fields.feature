@beyond
Feature: An answer is asked for with every wish, and with no other
  What a person or a program asks for arrives at the queen and at the worker as it was written. What
  is left out has the default that the documentation tells.

  Scenario: A task's fields
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is sent with these fields
      | field             | value                      |
      | prompt            | "Bees are"                 |
      | max_tokens     | 3                          |
      | temperature    | 1.25                       |
      | top_p          | 0.5                        |
      | top_k          | 7                          |
      | min_p          | 0.125                      |
      | repeat_penalty | 1.5                        |
      | seed           | 42                         |
      | stop           | ["§§", "b\"b", "ü ", "##"] |
      | ignore_eos     | true                       |
      | cache_prompt   | false                      |
      | keep_alive        | "10m"                      |
      | presence_penalty  | 0.25                       |
      | frequency_penalty | -0.5                       |
      | logit_bias        | {"7": -100, "260": 1.5}    |
      | logprobs          | 2                          |
    Then the worker was asked with the same fields and no others, and with the task's own id

  Scenario: A task with the ids of a prompt's tokens, and with a form
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is sent with these fields
      | field           | value                                                                                                                                        |
      | prompt          | [9000, 7, 260]                                                                                                                               |
      | max_tokens      | 9                                                                                                                                            |
      | response_format | {"type": "json_schema", "json_schema": {"schema": {"type": "boolean"}, "name": "truth", "description": "Whether it is.", "strict": true}} |
    Then the worker was asked with the same fields and no others, and with the task's own id
    When a task is sent with these fields
      | field           | value                           |
      | prompt          | "Bees are"                      |
      | max_tokens      | 9                               |
      | grammar         | "root ::= \" yes\" \| \" no\"" |
      | response_format | {"type": "text", "json_schema": null} |
    Then the worker was asked at last with the same fields and no others

  Scenario: A task with nothing but messages
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is sent with these fields
      | field    | value                                                                                   |
      | messages | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say \"a\"."}] |
    Then the worker was asked with the same fields and no others, and with the task's own id

  Scenario: A task with everything that a chat template can be given
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is sent with these fields
      | field                | value                                                                                                                                                                                                                                                                                                                                  |
      | messages             | [{"role": "user", "content": "Rain?", "name": "Bo"}, {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "rain", "arguments": "{\"in\": \"Köln\"}"}}]}, {"role": "tool", "content": "yes", "tool_call_id": "call_1"}] |
      | think                | false                                                                                                                                                                                                                                                                                                                                  |
      | chat_template_kwargs | {"style": {"words": ["terse"]}}                                                                                                                                                                                                                                                                                                        |
    Then the worker was asked with the same fields and no others, and with the task's own id

  Scenario: A task with functions that may be called
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When a task is sent with these fields
      | field               | value                                                                                                                                                                                          |
      | messages            | [{"role": "user", "content": "Is it day?"}]                                                                                                                                                    |
      | max_tokens          | 40                                                                                                                                                                                             |
      | tools               | [{"type": "function", "function": {"name": "is_day", "description": "Whether.", "parameters": {"type": "object", "properties": {"here": {"type": "boolean"}}, "required": ["here"]}, "strict": true}}] |
      | tool_choice         | {"type": "function", "function": {"name": "is_day"}}                                                                                                                                           |
      | parallel_tool_calls | false                                                                                                                                                                                          |
    Then the worker was asked with the same fields and no others, and with the task's own id

  Scenario: Flags of the command line
    Given a persistent queen
    And a proxy between keeper and queen
    When I run `rbee-keeper infer --raw --prompt "Bees are" --max-tokens 3 --temperature 1.25 --top-p 0.5 --top-k 7 --min-p 0.125 --repeat-penalty 1.5 --seed 42 --stop "§ §" --stop "##" --ignore-eos --keep-alive 10m --backend cpu --device 0 --context 512 --force --explain --node localhost --model bundled:smollm2-135m-instruct`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field          | value                            |
      | prompt         | "Bees are"                       |
      | max_tokens     | 3                                |
      | temperature    | 1.25                             |
      | top_p          | 0.5                              |
      | top_k          | 7                                |
      | min_p          | 0.125                            |
      | repeat_penalty | 1.5                              |
      | seed           | 42                               |
      | stop           | ["§ §", "##"]                    |
      | ignore_eos     | true                             |
      | keep_alive     | "10m"                            |
      | backend        | "cpu"                            |
      | device         | 0                                |
      | context        | 512                              |
      | force          | true                             |
      | explain        | true                             |
      | node           | "localhost"                      |
      | model          | "bundled:smollm2-135m-instruct"  |
    When I run `rbee-keeper infer --system "Be brief." --prompt "Say a." --stop "." --seed -1`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field    | value                                                                              |
      | messages | [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say a."}] |
      | stop     | ["."]                                                                              |
    When I run `rbee-keeper infer --prompt "Say a." --no-think --max-tokens 1`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field      | value                                   |
      | messages   | [{"role": "user", "content": "Say a."}] |
      | think      | false                                   |
      | max_tokens | 1                                       |
    Given the file tools.json has the text "{"type": "function", "function": {"name": "is_day"}}"
    When I run `rbee-keeper infer --prompt "Say a." --stop "." --tools tools.json`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field    | value                                                                                                            |
      | messages | [{"role": "user", "content": "Say a."}]                                                                         |
      | stop     | ["."]                                                                                                            |
      | tools    | [{"type": "function", "function": {"name": "is_day", "description": null, "parameters": {}, "strict": null}}] |
    Given the file two.json has the text "[{"type": "function", "function": {"name": "one"}}, {"type": "function", "function": {"name": "two"}}]"
    When I run `rbee-keeper infer --prompt "Say a." --stop "." --tools two.json`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field    | value                                   |
      | messages | [{"role": "user", "content": "Say a."}] |
      | stop     | ["."]                                   |
      | tools    | [{"type": "function", "function": {"name": "one", "description": null, "parameters": {}, "strict": null}}, {"type": "function", "function": {"name": "two", "description": null, "parameters": {}, "strict": null}}] |
    When I run `rbee-keeper run smollm2 Say a. --max-tokens 9 --keepalive 5m --format json`
    Then it exits with 0
    And the queen was asked with these fields, and no others
      | field           | value                                         |
      | messages        | [{"role": "user", "content": "Say a."}]       |
      | model           | "smollm2"                                     |
      | max_tokens      | 9                                             |
      | keep_alive      | "5m"                                          |
      | response_format | {"type": "json_object", "json_schema": null}  |
