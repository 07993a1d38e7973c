@beyond @ollama
Feature: Programs that were written for Ollama work unchanged
  The queen speaks Ollama's protocol on its own port. Ollama's own package is the judge.

  Scenario: Answers to conversations and prompts, whole and in lines
    Given a persistent queen
    When Ollama's package asks with each of these fields, whole and streamed
      | route    | fields                                                                                              |
      | chat     | {"options": {"num_predict": 6, "temperature": 0}}                                                   |
      | chat     | {"model": "SmolLM2:latest", "options": {"num_predict": 4, "temperature": 0}, "think": false, "keep_alive": "1h30m", "logprobs": true, "top_logprobs": 2} |
      | generate | {"options": {"num_predict": 6, "temperature": 0, "stop": ["###"]}, "system": "Be kind."}            |
      | generate | {"options": {"num_predict": 5.0, "temperature": 0, "top_k": 40.0, "num_ctx": 2048}, "raw": true}    |
    Then every part is of the package's types, and the lines are in order
    And the first answer took longer to load its model than any other
    And each stream of lines says what its reply says
    And the answers are called by the names that were asked for, and the likelihoods are those of their tokens
    And the times of its reading and of its writing are those of the clock
    And the asynchronous client of Ollama gets the first answer too, whole and streamed
    And a prompt with the context of an answer goes on with that conversation, and a raw one has none

  Scenario: Answers in a form, and calls whose arguments are objects
    Given a persistent queen
    When Ollama's package asks for an answer as JSON, and one after a schema
    Then the first is an object, and the second is valid after the schema
    When /api/chat is asked for a call of one of two functions, whole and in lines
    Then each is calls of those functions, whole and with arguments as objects, that are valid
    When it is asked for a call of is_day, by OpenAI's object and by the name alone
    Then each is calls of is_day alone
    And the package tells the model of a call and its answer, by the name of the tool

  Scenario: Models are listed, shown, loaded, unloaded, pulled and deleted
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And the setting times.grace_s is 1
    And a persistent queen
    When Ollama's package lists the models of a queen that has just begun
    Then it lists the bundled one and its alias with every field that strict clients want
    And it shows that model by each of these names: smollm2, smollm2:latest, bundled:smollm2-135m-instruct
    Given a person placed the that calls model at lab/calls/calls.gguf in the models folder
    And a person placed the that reasons model at lab/reasons/reasons.gguf in the models folder
    And a person placed the bert model at lab/bert/bert.gguf in the models folder
    Then Ollama's package is told what these models can do
      | model                       | capabilities                |
      | hf:lab/calls/calls.gguf     | completion, tools, thinking |
      | hf:lab/reasons/reasons.gguf | completion, thinking        |
      | hf:lab/bert/bert.gguf       | embedding                   |
    And an empty request loads it, and with keep_alive 0 takes it out of memory
    And it leaves the memory at the time that was told
    And while it is in memory, its context, its size and the time of its end are told
    And vectors are those of its worker, in the new form and in the old one
    And of a text that is longer than num_ctx the beginning counts, unless truncate is false or the form is the old one
    And asked to leave while it answers, it leaves when the answer is whole
    When Ollama's package pulls hf.co/lab/smol, streamed, and then huggingface.co/lab/smol, whole
    Then the progress grows to the 98362432 bytes of the model, with one digest, and ends with a success
    And hf:lab/smol/smol-Q4_1.gguf leaves the memory alone, and the other one stays
    And hf:lab/smol/smol-Q4_1.gguf is found as smol, smol-q4_1, smol-Q4_1.gguf, lab/smol, LAB/Smol:latest and lab/smol:Q4_1, made by lab just now
    And hf:lab/smol/smol-Q4_1.gguf is listed by Ollama's package, and after it is deleted it is not
    And the lists of Ollama take less than 20 ms

  Scenario: What is refused is refused in Ollama's shape
    Given a persistent queen, with a worker that has answered once
    Then Ollama's package is refused each of these
      | call     | fields                                                                        | status | text                |
      | chat     | {"model": "smolm2", "messages": [{"role": "user", "content": "Hi"}]}          | 404    | smollm2             |
      | show     | {"model": "nobody"}                                                           | 404    | nobody              |
      | delete   | {"model": "nobody"}                                                           | 404    | nobody              |
      | chat     | {"model": "smollm2", "messages": [{"role": "user", "content": "Hi", "images": ["aGk="]}]} | 400 | messages[0].images: |
      | generate | {"model": "smollm2", "prompt": "Hi", "suffix": "there"}                       | 400    | suffix:             |
      | generate | {"model": "smollm2", "prompt": "Hi", "template": "{{ .Prompt }}"}             | 400    | template:           |
      | generate | {"model": "smollm2", "prompt": "Hi", "images": ["aGk="]}                      | 400    | images:             |
      | generate | {"model": "smollm2", "prompt": "Hi", "context": [300, 2]}                     | 400    | context:            |
      | generate | {"model": "smollm2", "prompt": "Hi", "options": {"temperature": 6}}           | 400    | options.temperature: |
      | generate | {"model": "smollm2", "prompt": "Hi", "options": {"top_k": 1.5}}               | 400    | options.top_k:      |
      | generate | {"model": "smollm2", "prompt": "Hi", "think": "often"}                        | 400    | think:              |
      | generate | {"model": "smollm2", "prompt": "Hi", "keep_alive": "long"}                    | 400    | keep_alive:         |
      | generate | {"model": "smollm2", "prompt": "Hi", "format": {"not": {}}, "stream": true}   | 400    | valid: format:      |
      | create   | {"model": "pirate", "from_": "smollm2", "system": "Talk like a pirate"}        | 400    | models.aliases      |
      | copy     | {"source": "smollm2", "destination": "mine"}                                  | 400    | models.aliases      |
      | push     | {"model": "smollm2"}                                                          | 400    | hf upload           |
      | create_blob | {"path": "README.md"}                                                      | 400    | file:               |
    And with a wrong key, as Bearer and as X-Api-Key, every route of Ollama's answers 401 in its shape
    And a route below /api/ that is not there is refused with 404 in its shape
    And the address itself says that it is running, but not to a browser

  Scenario: Ollama's clients that close, and those that wait
    Given the setting worker.slots is 1
    And the setting queen.queue_limit is 1
    And a persistent queen, with a worker that has answered once
    When Ollama's package streams a long answer, and closes it in the middle
    Then the slot is free within 1 s
    When a task for 6000 tokens streams
    And a chat of Ollama's streams while the slot is busy
    Then it has its status 200 after 2 s, and not a byte more
    And Ollama's package is refused one more with 503
    When that task is deleted
    Then that chat is answered in lines, and ends with a last one

  Scenario: The program llm asks through its plugin for Ollama
    Given a persistent queen
    And a shell with the queen's address and key where Ollama's clients look for them
    When I run `llm models list`
    Then it exits with 0
    And standard output says "ollama/smollm2"
    When I run `llm -m ollama/smollm2:latest -o num_predict 8 -o temperature 0 "Name a color"`
    Then it exits with 0
    And it has printed an answer
    When I run `llm -m ollama/smollm2 -o num_predict 40 -o temperature 0 --schema "name, age int" "A dog"`
    Then it exits with 0
    And it has printed an object with name and age

  Scenario: Each field of a request to Ollama arrives at the worker
    Given a hive and a queen that an operator started, with a proxy between queen and node
    When Ollama's package asks for a chat with these fields
      | field        | value |
      | messages     | [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "thinking": "hm", "tool_calls": [{"function": {"name": "is_day", "arguments": {"here": true}}}, {"function": {"name": "rest", "arguments": {}}}]}, {"role": "tool", "tool_name": "rest", "content": "ok"}, {"role": "tool", "content": "yes"}] |
      | tools        | [{"type": "function", "function": {"name": "is_day", "description": "Whether it is day", "parameters": {"type": "object", "properties": {"here": {"type": "boolean"}}}}}] |
      | options      | {"num_predict": 3, "temperature": 1.25, "top_p": 0.5, "top_k": 7, "min_p": 0.125, "repeat_penalty": 1.5, "presence_penalty": 0.25, "frequency_penalty": -0.5, "seed": 42, "stop": ["##", ""], "num_ctx": 4096, "mirostat": 0} |
      | keep_alive   | "1h30m" |
      | think        | "low"   |
      | logprobs     | true    |
      | top_logprobs | 2       |
    Then the worker was asked with these fields, and no others
      | field                | value |
      | messages             | [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "reasoning_content": "hm", "tool_calls": [{"function": {"name": "is_day", "arguments": "{\"here\": true}"}, "id": "call00200", "type": "function"}, {"function": {"name": "rest", "arguments": "{}"}, "id": "call00201", "type": "function"}]}, {"role": "tool", "content": "ok", "name": "rest", "tool_call_id": "call00201"}, {"role": "tool", "content": "yes", "name": "is_day", "tool_call_id": "call00200"}] |
      | tools                | [{"function": {"name": "is_day", "description": "Whether it is day", "parameters": {"type": "object", "properties": {"here": {"type": "boolean"}}}, "strict": null}, "type": "function"}] |
      | max_tokens           | 3     |
      | temperature          | 1.25  |
      | top_p                | 0.5   |
      | top_k                | 7     |
      | min_p                | 0.125 |
      | repeat_penalty       | 1.5   |
      | presence_penalty     | 0.25  |
      | frequency_penalty    | -0.5  |
      | seed                 | 42    |
      | stop                 | ["##"] |
      | keep_alive           | 5400  |
      | think                | true  |
      | chat_template_kwargs | {"reasoning_effort": "low"} |
      | logprobs             | 2     |
    When Ollama's package asks for a chat with these fields
      | field    | value |
      | messages | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I am"}] |
      | format   | {"type": "boolean"} |
      | options  | {"num_predict": 0}  |
    Then the worker was asked with these fields, and no others
      | field                  | value |
      | messages               | [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I am"}] |
      | max_tokens             | 1536  |
      | continue_final_message | true  |
      | response_format        | {"type": "json_schema", "json_schema": {"schema": {"type": "boolean"}, "name": null, "description": null, "strict": null}} |
    When Ollama's package asks for a prompt with these fields
      | field   | value |
      | prompt  | "Hi"  |
      | system  | "Be kind" |
      | think   | false |
      | options | {"num_predict": 2, "top_p": 0} |
    Then the worker was asked with these fields, and no others
      | field      | value |
      | messages   | [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}] |
      | max_tokens | 2     |
      | top_k      | 1     |
      | think      | false |
    When Ollama's package asks for a prompt with these fields
      | field   | value |
      | prompt  | "Hi"  |
      | raw     | true  |
      | options | {"num_predict": 2, "top_k": -1, "seed": -1} |
    Then the worker was asked with these fields, and no others
      | field      | value |
      | prompt     | "Hi"  |
      | max_tokens | 2     |
      | top_k      | 0     |
