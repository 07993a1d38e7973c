@beyond @openai
Feature: Programs that speak OpenAI's Responses work unchanged
  Newer programs, such as Codex, ask for responses. OpenAI's own package is the judge.

  Scenario: Responses, whole and streamed
    Given a persistent queen
    When OpenAI's package asks for a response with each of these fields, whole and streamed
      | fields                                                                                                      |
      | {"max_output_tokens": 8, "temperature": 0, "ignore_eos": true, "metadata": {"for": "a test"}, "user": "me", "top_p": 0.5, "reasoning": {"effort": "low"}, "max_tool_calls": 3, "safety_identifier": "s1"} |
      | {"model": "SmolLM2:latest", "instructions": "Be kind.", "max_output_tokens": 4, "temperature": 0, "include": ["message.output_text.logprobs"], "top_logprobs": 2} |
      | {"grammar": "root ::= \"yes it is\"", "top_k": 1, "store": true, "prompt_cache_key": "a-key"}               |
    Then every response and every event is of the package's types, and the events are in order
    And each stream ends with the response that its reply is
    And a response that was cut is incomplete, and one that came to its end is completed
    And the usage of each counts its tokens
    And the package counts as many input tokens of each request as its usage has
    And each response repeats its request, and says that nothing is stored
    And asynchronously it is the same
    And the package's own reader of streams puts together "yes it is"
    And no response is there afterwards: to get one, or to delete one, is answered 404

  Scenario: Responses in a form, and calls of functions
    Given a persistent queen
    When OpenAI's package parses a response into a class of pydantic, in turn, streamed and asynchronously
    Then all three are that class, within its limits
    When OpenAI's package asks for a response with calls of one of two functions, whole and streamed
    Then every response and every event is of the package's types, and the events are in order
    And each response is calls of those functions, whose arguments are valid after their schemas
    And the package counts as many input tokens of each request as its usage has
    When the call is answered, and the conversation so far is sent back with "root ::= \"It is day.\""
    Then the response says "It is day."

  Scenario: Responses that are refused, and that fail
    Given a persistent queen, with a worker that has answered once
    Then OpenAI's package is refused a response with each of these
      | fields                                                                                | error           | code                    | param                     |
      | {"model": "smolm2"}                                                                   | NotFoundError   | model_not_found         | model                     |
      | {"input": "<a text of 9000 words>"}                                                   | BadRequestError | context_length_exceeded | input                     |
      | {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]} | BadRequestError | invalid_request         | input[0].content[0].type  |
      | {"input": [{"type": "item_reference", "id": "msg_1"}]}                                | BadRequestError | invalid_request         | input[0].type             |
      | {"previous_response_id": "resp_1"}                                                    | BadRequestError | invalid_request         | previous_response_id      |
      | {"conversation": "conv_1"}                                                            | BadRequestError | invalid_request         | conversation              |
      | {"input": [{"type": "computer_call", "call_id": "c1"}]}                               | BadRequestError | invalid_request         | input[0].type             |
      | {"prompt": {"id": "pmpt_1"}}                                                          | BadRequestError | invalid_request         | prompt                    |
      | {"max_output_tokens": 0}                                                              | BadRequestError | invalid_request         | max_output_tokens         |
      | {"background": true}                                                                  | BadRequestError | invalid_request         | background                |
      | {"temperature": 6}                                                                    | BadRequestError | invalid_request         | temperature               |
      | {"tools": [{"type": "web_search"}, {"type": "function", "name": "x", "strict": true, "parameters": {"not": {}}}]} | BadRequestError | invalid_request | tools[1].parameters |
    When OpenAI's package streams a response to a text of 9000 words, whose worker hangs until the stream is open
    Then the stream ends with a failed response: context_length_exceeded
    When OpenAI's package streams a long response, and its worker is killed in the middle
    Then the stream is in order, and ends with a failed response that keeps what was said

  Scenario: Each field of a request for a response arrives at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When OpenAI's package asks for a response with these fields
      | field               | value                                                     |
      | instructions        | "Be kind"                                                 |
      | input               | [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "Hi"}, {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}, {"role": "assistant", "content": [{"type": "output_text", "text": "Well"}]}, {"role": "assistant", "content": "I look"}, {"type": "function_call", "call_id": "c1", "name": "is_day", "arguments": "{\"here\": true}"}, {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "yes"}]}] |
      | max_output_tokens   | 2                                                         |
      | temperature         | 1.25                                                      |
      | top_p               | 0.5                                                       |
      | top_k               | 7                                                         |
      | min_p               | 0.125                                                     |
      | repeat_penalty      | 1.5                                                       |
      | presence_penalty    | 0.25                                                      |
      | frequency_penalty   | -0.5                                                      |
      | logit_bias          | {"7": -100}                                               |
      | cache_prompt        | false                                                     |
      | seed                | 42                                                        |
      | stop                | "##"                                                      |
      | keep_alive          | "10m"                                                     |
      | top_logprobs        | 2                                                         |
      | tools               | [{"type": "web_search"}, {"type": "function", "name": "is_day", "description": "Whether it is day", "strict": true, "parameters": {"type": "object"}}] |
      | tool_choice         | "none"                                                    |
      | parallel_tool_calls | false                                                     |
      | text                | {"format": {"type": "json_schema", "name": "x", "description": "An x", "strict": true, "schema": {"type": "integer"}}, "verbosity": "low"} |
      | reasoning           | {"effort": "minimal"}                                     |
      | chat_template_kwargs | {"wish": 1}                                              |
    Then the worker was asked with these fields, and no others
      | field                | value                                                     |
      | messages             | [{"role": "system", "content": "Be kind"}, {"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well\nI look", "reasoning_content": "hm", "tool_calls": [{"function": {"name": "is_day", "arguments": "{\"here\": true}"}, "id": "c1", "type": "function"}]}, {"role": "tool", "content": "yes", "tool_call_id": "c1"}] |
      | max_tokens           | 2                                                         |
      | temperature          | 1.25                                                      |
      | top_p                | 0.5                                                       |
      | top_k                | 7                                                         |
      | min_p                | 0.125                                                     |
      | repeat_penalty       | 1.5                                                       |
      | presence_penalty     | 0.25                                                      |
      | frequency_penalty    | -0.5                                                      |
      | logit_bias           | {"7": -100}                                               |
      | cache_prompt         | false                                                     |
      | seed                 | 42                                                        |
      | stop                 | ["##"]                                                    |
      | keep_alive           | "10m"                                                     |
      | logprobs             | 2                                                         |
      | tools                | [{"function": {"name": "is_day", "description": "Whether it is day", "parameters": {"type": "object"}, "strict": true}, "type": "function"}] |
      | tool_choice          | "none"                                                    |
      | parallel_tool_calls  | false                                                     |
      | response_format      | {"type": "json_schema", "json_schema": {"schema": {"type": "integer"}, "name": "x", "description": "An x", "strict": true}} |
      | think                | true                                                      |
      | chat_template_kwargs | {"wish": 1, "reasoning_effort": "low"}                    |
    And the response repeats text, tool_choice and temperature
    When OpenAI's package asks for a response with these fields
      | field       | value |
      | input       | [{"role": "user", "content": "Hi"}, {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}, {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "Sure?"}] |
      | include     | ["message.output_text.logprobs"] |
      | tools       | [{"type": "function", "name": "is_day", "parameters": {"type": "object"}}, {"type": "function", "name": "is_night", "parameters": {"type": "object"}}, {"type": "namespace", "name": "lab", "description": "The lab", "tools": [{"type": "function", "name": "is_open", "parameters": {"type": "object"}}]}] |
      | tool_choice | {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "is_day"}, {"type": "function", "name": "is_open"}]} |
      | temperature | 0 |
      | text        | {"format": {"type": "json_schema", "name": "x", "schema": {"type": "boolean"}}} |
    Then the worker was asked with these fields, and no others
      | field           | value |
      | messages        | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes", "reasoning_content": "hm"}, {"role": "user", "content": "Sure?"}] |
      | max_tokens      | 4096  |
      | logprobs        | 0     |
      | temperature     | 0     |
      | tools           | [{"function": {"name": "is_day", "description": null, "parameters": {"type": "object"}, "strict": null}, "type": "function"}, {"function": {"name": "is_open", "description": null, "parameters": {"type": "object"}, "strict": null}, "type": "function"}] |
      | response_format | {"type": "json_schema", "json_schema": {"schema": {"type": "boolean"}, "name": "x", "description": null, "strict": null}} |
