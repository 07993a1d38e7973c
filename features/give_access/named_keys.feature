@beyond
Feature: Others use the queen with keys of their own
  The operator gives each person or program a key with a name. It opens what was said when it was
  made, is known in logs and metrics by its name, and can be taken back.

  Scenario: A key for another machine is shown once, and kept nowhere
    Given the setting models.aliases.mine is "<missing>"
    And a persistent queen, with a worker that has answered once
    When the operator keeps in laptop's key file what `rbee-keeper auth create laptop --limit 3` prints
    Then it exits with 0
    And the key of laptop is one word, of 256 bits, and begins as the list of keys shows it
    And standard error says "laptop may ask models and list them; at most 3 of its tasks at once"
    And standard error says "url = "http://HOST:8080""
    And only its SHA-256 is in ~/.rbee/keys.json, which only its owner can read
    When laptop runs `rbee-keeper infer --prompt hi --max-tokens 3 --ignore-eos --keep-alive 0`
    Then it exits with 0
    When laptop runs `rbee-keeper worker list`
    Then it exits with 0
    And standard output says "4 of 4"
    When laptop runs `rbee-keeper worker start --model smollm2`
    Then it exits with 1
    And the error is WRONG_ROLE
    And the next step says "rbee-keeper auth create NAME --role manage"
    And the queen answers GET /v2/keys with
      """
      {"keys": [{"name": "laptop", "prefix": "rbee_…_", "role": "use", "limit": 3, "queue_limit": null,
                 "weight": 1.0, "models": [], "created_unix": "≈ <now> ± 30",
                 "last_used_unix": "≈ <now> ± 10"}]}
      """
    And the queen's metrics count 1 task and 3 tokens of laptop, and 1 task and 2 tokens of operator
    And the queen's log names laptop in "POST /v2/tasks", and nobody else
    And the key of laptop is in no file but that one, and in no command line, environment or output
    And laptop may not have a model loaded that may not fit
    And laptop may not use <Q8_0>, which is a file by its path
    And laptop is shown the alias mine, which names a file
    And laptop may not take a model out of memory in Ollama's way
    When I run `rbee-keeper auth create laptop`
    Then it exits with 1
    And the next step says "rbee-keeper auth revoke laptop"
    When I run `rbee-keeper auth create operator --limit 1`
    Then it exits with 2
    And standard error says "the queen's own key has this"
    When I run `rbee-keeper auth revoke nobody`
    Then it exits with 1
    And the next step says "rbee-keeper auth list"
    When I run `rbee-keeper daemon stop`
    Then it exits with 0
    When the key of laptop is an hour older than it was
    And I run `rbee-keeper auth list`
    Then it lists laptop with use, 3, none, 1, all, and the times of its making and its use
    And nothing is running

  Scenario: What a key of the role use opens, at every route
    Given a persistent queen, with a worker that has answered once
    And a key for laptop
    When every route of the queen is asked with the key of laptop
    Then each that manages answers 403 with the error WRONG_ROLE, before a body is read
    And the others answer as they answer the operator
    And laptop can't release the hold of the command that started the queen

  Scenario: Revoking a key ends what runs, what waits and what listens
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for laptop
    And a key for boss with `--role manage`
    And a key for phone with `--role manage`
    When a task of laptop for 4000 tokens streams, and another waits in the queue
    And laptop waits for a whole answer, too
    And GET /v2/events is followed by boss
    And GET /v2/events is followed by phone
    And a task waits in the queue
    And laptop deletes that task, which is of the operator
    Then that is answered with 204, and the task still waits
    When boss runs `rbee-keeper auth revoke laptop`
    Then it exits with 0
    And both tasks of laptop end within 2 s with the error INVALID_API_KEY and [DONE]
    And the whole answer is refused with 401 by then
    And the task in the queue is answered within 10 s
    When I run `rbee-keeper auth revoke boss`
    Then it exits with 0
    And what boss followed ends within 2 s with the error INVALID_API_KEY and [DONE]
    And the keys of laptop and boss are refused with 401
    When ~/.rbee/keys.json is removed
    Then what phone followed ends within 3 s with the error INVALID_API_KEY and [DONE]

  Scenario: A limit on the tasks that run or wait
    Given the setting worker.slots is 1
    And a persistent queen, with a worker that has answered once
    And a key for laptop with `--limit 2`
    When a task of laptop for 4000 tokens streams, and another waits in the queue
    And laptop sends a task
    Then the answer is 429 with the error TOO_MANY_REQUESTS
    And its details are {"key": "laptop", "limit": 2}
    And it says when to try again
    When a task waits in the queue
    And laptop deletes its task that waits
    Then laptop may send another task, which waits
    When laptop leaves its task that streams
    Then laptop may send another task, which runs
    When half of ~/.rbee/keys.json is lost
    Then the key of laptop is refused with 401
    Given a key for phone
    Then the key of phone opens the queen, and what was left of keys.json is kept beside it
    When a task of phone for 4000 tokens streams
    And the worker is killed
    Then phone is told WORKER_CRASHED, and no line of the worker's log

  Scenario: Models, whatever they are called
    A repository means Q4_K_M, which this key may not use; once Q8_0 is here, it means that.
    Given the Hub has lab/many with these files
      | file             | content      |
      | many-Q4_K_M.gguf | small Q4_K_M |
      | many-Q8_0.gguf   | small Q8_0   |
    And the setting models.aliases.eight is "hf:lab/many:Q8_0"
    And the setting models.aliases.mine is "<missing>"
    And the setting models.default is "smollm2"
    And the bundled model is on the disk as other
    And a persistent queen, with a worker that has answered once
    And a key for laptop with `--models eight`
    When laptop asks each of these models
      | model                        | answer            | as                           |
      | lab/many                     | MODEL_NOT_ALLOWED | hf:lab/many/many-Q4_K_M.gguf |
      | eight                        | done              |                              |
      | hf:Lab/Many/many-Q8_0.gguf   | done              |                              |
      | lab/many:q8_0                | done              |                              |
      | lab/many                     | done              |                              |
      | lab/many:Q4_K_M              | MODEL_NOT_ALLOWED | hf:lab/many:Q4_K_M           |
      | hf:lab/many@old:Q8_0         | MODEL_NOT_ALLOWED | hf:lab/many@old:Q8_0         |
      | hf:lab/many/many-Q4_K_M.gguf | MODEL_NOT_ALLOWED | hf:lab/many/many-Q4_K_M.gguf |
      | none                         | MODEL_NOT_ALLOWED | the default model            |
      | <Q8_0>                       | MODEL_NOT_ALLOWED | <Q8_0>                       |
      | mine                         | MODEL_NOT_ALLOWED | mine                         |
    Then each answer is as it says there, and each refusal names laptop and hf:lab/many:Q8_0, which is allowed
    And the models folder holds lab/many/many-Q8_0.gguf and lab/other/other.gguf
    And laptop is shown this model and its worker, and no other
    And the queen answers POST /v2/keys {"name": "desk", "role": "use", "limit": 1, "queue_limit": 7, "weight": 0.5, "models": ["eight"]} with
      """
      {"name": "desk", "prefix": "rbee_…_", "key": "rbee_…_…", "role": "use", "limit": 1,
       "queue_limit": 7, "weight": 0.5, "models": ["hf:lab/many:Q8_0"], "created_unix": "≈ <now> ± 10", "last_used_unix": null}
      """
    And the queen answers GET /v2/keys with
      """
      {"keys": [{"name": "desk", "prefix": "rbee_…_", "role": "use", "limit": 1,
                 "queue_limit": 7, "weight": 0.5, "models": ["hf:lab/many:Q8_0"], "created_unix": "≈ <now> ± 10",
                 "last_used_unix": null},
                {"name": "laptop", "prefix": "rbee_…_", "role": "use", "limit": null,
                 "queue_limit": null, "weight": 1.0, "models": ["hf:lab/many:Q8_0"], "created_unix": "≈ <now> ± 60",
                 "last_used_unix": "≈ <now> ± 30"}]}
      """

  Scenario: A key of another queen does not open a new one
    Given a key for laptop that another queen made
    When laptop runs `rbee-keeper infer --prompt hi`
    Then it exits with 2
    And the error is CONFIG_INVALID
    And the next step says "set [queen] url to its address"
    And nothing is running
