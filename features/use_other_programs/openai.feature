@beyond @openai
Feature: Programs that were written for OpenAI work unchanged
  The queen speaks their protocol on its own port. OpenAI's own package is the judge.

  Scenario: A chat with a model that must be loaded first, whole and streamed
    Given a persistent queen
    When OpenAI's package asks for a chat with each of these fields, whole and streamed
      | fields                                                                                              |
      | {"model": "smollm2", "max_tokens": 8, "temperature": 0, "ignore_eos": true}                         |
      | {"model": "SmolLM2:latest", "max_completion_tokens": 4, "temperature": 0, "logprobs": true, "top_logprobs": 2} |
      | {"model": "smollm2-135m-instruct", "temperature": 0, "grammar": "root ::= \"yes\""}                |
      | {"model": "", "max_tokens": 6, "temperature": 0, "n": 3, "seed": 5}                                 |
      | {"model": "smollm2", "max_tokens": 40, "temperature": 0, "stop": ["zzz", ".", "!"]}                 |
    Then every reply and every chunk is of the package's types, and the chunks are in order
    And each stream says what its reply says
    And they finished for these reasons: length, length, stop, length, stop
    And usage and timings count the tokens of each
    And the asynchronous client gets the first answer too, whole and streamed

  Scenario: Answers in a form, and calls of functions
    Given a persistent queen
    When OpenAI's package parses an answer into a class of pydantic, in turn and asynchronously
    Then both are that class, within its limits
    When OpenAI's package asks for calls of one of two functions, whole and streamed
    Then every reply and every chunk is of the package's types, and the chunks are in order
    And each answer is calls of those functions, whose arguments are valid after their schemas
    And the package's own reader of streams finds the same kind of calls

  Scenario: Completions, vectors and scores
    Given a persistent queen
    When OpenAI's package completes prompts with each of these fields, whole and streamed
      | fields                                                                                      |
      | {"prompt": "Once upon a time", "max_tokens": 5, "temperature": 0, "logprobs": 2}            |
      | {"prompt": ["Once", [1, 2, 3]], "max_tokens": 3, "temperature": 0, "n": 2, "seed": 1}       |
      | {"prompt": ["Once upon", "A cat"], "max_tokens": 3, "temperature": 0, "echo": true, "n": 2} |
      | {"prompt": "Once upon", "temperature": 0, "echo": true}                                     |
    Then the texts have those choices, and the streams say what the replies say
    And a completion with each of these is refused, and the field is named
      | field   | fields                           |
      | suffix  | {"suffix": "the end"}            |
      | best_of | {"best_of": 2}                   |
      | echo    | {"echo": true, "logprobs": 1}    |
      | echo    | {"prompt": [1, 2], "echo": true} |
      | prompt[1] | {"prompt": ["a", ""]}          |
      | prompt    | {"prompt": ["a", 1]}           |
    When OpenAI's package embeds "The cat sleeps" as text, in a list, and as base64
    Then every vector is the one that the worker itself makes
    When the queen ranks "hello" and "why not" for "what" with <qwen3 ranker>
    Then the scores are those of its worker, with the best first

  Scenario: Models and what clients call them
    Given the setting models.aliases.Mine is "bundled:smollm2-135m-instruct"
    And the setting models.aliases.tinyllama is "bundled:smollm2-135m-instruct"
    And the setting models.default is "Mine"
    And the setting worker.mmap is false
    And a persistent queen, with a worker that has answered once
    When OpenAI's package lists the models until the bundled one is there
    Then it lists the bundled one and its aliases as loaded, and other aliases as unloaded
    And it finds each of these, asked for by name: Mine, mine:latest, bundled:smollm2-135m-instruct, SMOLLM2
    And asked for "mime", it says that "Mine" is near
    And the list takes less than 20 ms
    And a chat that names no model is answered by Mine
    When a chat with <large> is asked for
    Then the list tells that it is loading, and then that it is loaded

  Scenario: What is refused is refused in OpenAI's shape
    Given a persistent queen, with a worker that has answered once
    Then OpenAI's package is refused each of these
      | fields                                                                                             | error               | code                    | param                       |
      | {"model": "smolm2"}                                                                                | NotFoundError       | model_not_found         | model                       |
      | {"temperature": 6}                                                                                 | BadRequestError     | invalid_request         | temperature                 |
      | {"max_completion_tokens": 0}                                                                       | BadRequestError     | invalid_request         | max_completion_tokens       |
      | {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}    | BadRequestError     | invalid_request         | messages[0].content[0].type |
      | {"tool_choice": "required"}                                                                        | BadRequestError     | invalid_request         | tool_choice                 |
      | {"functions": [{"name": "is_day", "parameters": {}}]}                                              | BadRequestError     | invalid_request         | functions                   |
      | {"function_call": {"name": "is_day"}}                                                              | BadRequestError     | invalid_request         | function_call               |
      | {"modalities": ["text", "audio"]}                                                                  | BadRequestError     | invalid_request         | modalities                  |
      | {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}} | BadRequestError     | invalid_request         | response_format.json_schema.schema |
      | {"messages": [{"role": "user", "content": "<a text of 9000 words>"}]}                              | BadRequestError     | context_length_exceeded | messages                    |
    And the error for "smolm2" names the nearest: smollm2
    And with a wrong key, as Bearer and as X-Api-Key, every route of the protocol answers 401 in that shape
    And with the right key as X-Api-Key, the models are listed
    And a body that is not JSON, and one of 16777217 bytes, are refused in that shape, as is an unknown path

  Scenario: Clients that close, and clients that wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When OpenAI's package streams a long answer, and closes it in the middle
    Then the slot is free within 1 s
    When a long answer is asked for as a whole, and its client leaves
    Then the slot is free within 1 s
    When a task for 6000 tokens streams
    And a chat streams while the slot is busy
    Then after 2 s it has its status 200, within 8 s, and a comment, but no chunk
    And OpenAI's package is refused one more with 503 and Retry-After
    When that task is deleted
    Then the chat is answered, and ends with [DONE]

  Scenario: Each field of a request arrives at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When OpenAI's package asks for a chat with these fields
      | field             | value                                 |
      | messages          | [{"role": "user", "content": "Hi"}]   |
      | max_tokens        | 3                                     |
      | temperature       | 1.25                                  |
      | top_p             | 0.5                                   |
      | top_k             | 7                                     |
      | min_p             | 0.125                                 |
      | repeat_penalty    | 1.5                                   |
      | presence_penalty  | 0.25                                  |
      | frequency_penalty | -0.5                                  |
      | logit_bias        | {"7": -100}                           |
      | seed              | 42                                    |
      | stop              | "##"                                  |
      | grammar           | "root ::= [a-z]+"                     |
      | cache_prompt      | false                                 |
      | keep_alive        | "10m"                                 |
      | logprobs          | true                                  |
      | top_logprobs      | 2                                     |
      | user              | "somebody"                            |
      | prompt_cache_key  | "a-key"                               |
      | store             | true                                  |
    Then the worker was asked with these fields, and no others
      | field             | value                                 |
      | messages          | [{"role": "user", "content": "Hi"}]   |
      | max_tokens        | 3                                     |
      | temperature       | 1.25                                  |
      | top_p             | 0.5                                   |
      | top_k             | 7                                     |
      | min_p             | 0.125                                 |
      | repeat_penalty    | 1.5                                   |
      | presence_penalty  | 0.25                                  |
      | frequency_penalty | -0.5                                  |
      | logit_bias        | {"7": -100}                           |
      | seed              | 42                                    |
      | stop              | ["##"]                                |
      | grammar           | "root ::= [a-z]+"                     |
      | cache_prompt      | false                                 |
      | keep_alive        | "10m"                                 |
      | logprobs          | 2                                     |
    When OpenAI's package asks for a chat with these fields
      | field                 | value |
      | messages              | [{"role": "developer", "content": "Be kind"}, {"role": "user", "name": "jo", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]}, {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "is_day", "arguments": "{\"here\": true}"}}]}, {"role": "tool", "tool_call_id": "c1", "content": "yes"}] |
      | max_completion_tokens | 2     |
      | max_tokens            | 7     |
      | top_k                 | -1    |
      | tools                 | [{"type": "function", "function": {"name": "is_day", "description": "Whether it is day", "strict": true, "parameters": {"type": "object"}}}] |
      | tool_choice           | "none" |
      | parallel_tool_calls   | false |
      | response_format       | {"type": "json_schema", "json_schema": {"name": "x", "description": "An x", "strict": true, "schema": {"type": "integer"}}} |
      | reasoning_effort      | "minimal" |
      | chat_template_kwargs  | {"wish": 1} |
      | ignore_eos            | false |
    Then the worker was asked with these fields, and no others
      | field                 | value |
      | messages              | [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "One\ntwo", "name": "jo"}, {"role": "assistant", "reasoning_content": "hm", "tool_calls": [{"function": {"name": "is_day", "arguments": "{\"here\": true}"}, "id": "c1", "type": "function"}]}, {"role": "tool", "content": "yes", "tool_call_id": "c1"}] |
      | max_tokens            | 2     |
      | top_k                 | 0     |
      | tools                 | [{"function": {"name": "is_day", "description": "Whether it is day", "parameters": {"type": "object"}, "strict": true}, "type": "function"}] |
      | tool_choice           | "none" |
      | parallel_tool_calls   | false |
      | response_format       | {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}, "name": "x", "description": "An x", "strict": true}} |
      | think                 | true  |
      | chat_template_kwargs  | {"wish": 1, "reasoning_effort": "low"} |
    When OpenAI's package asks for a chat with these fields
      | field    | value                               |
      | messages | [{"role": "user", "content": "Hi"}] |
      | top_p    | 0                                   |
      | grammar  | "root ::= [a-z]"                    |
      | max_tokens | -1                                |
      | logprobs | true                                |
      | stop     | null                                |
      | seed     | -1                                  |
    Then the worker was asked with these fields, and no others
      | field      | value                               |
      | messages   | [{"role": "user", "content": "Hi"}] |
      | max_tokens | 1536                                |
      | logprobs   | 0                                   |
      | top_k      | 1                                   |
      | grammar    | "root ::= [a-z]"                    |
    When OpenAI's package asks for a chat with these fields
      | field      | value |
      | stop       | ["1", "", "2", "3", "4", "5"] |
      | response_format | {"type": "json_object", "schema": {"type": "integer"}} |
      | messages   | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, {"role": "assistant", "content": null}, {"role": "user", "content": "Please"}, {"role": "assistant", "content": null, "function_call": {"name": "is_day", "arguments": "{\"here\": true}"}}, {"role": "function", "name": "is_day", "content": "yes"}] |
      | max_tokens | 2     |
    Then the worker was asked with these fields, and no others
      | field      | value |
      | stop       | ["1", "2", "3", "4", "5"] |
      | response_format | {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}, "name": null, "description": null, "strict": null}} |
      | messages   | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}, {"role": "assistant", "content": ""}, {"role": "user", "content": "Please"}, {"role": "assistant", "tool_calls": [{"function": {"name": "is_day", "arguments": "{\"here\": true}"}, "id": "is_day", "type": "function"}]}, {"role": "tool", "content": "yes", "name": "is_day", "tool_call_id": "is_day"}] |
      | max_tokens | 2     |
