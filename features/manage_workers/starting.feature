@beyond
Feature: A model is in memory before anybody needs it

  Scenario: A worker is started with every option
    Given the added node workstation
    When I run `rbee-keeper worker start --node workstation --model smollm2 --backend cpu --device 0 --slots 2 --context 512`
    Then it exits with 0
    And these words are shown, in this order
      | words                                                        |
      | starting rbee-hive on workstation over SSH                   |
      | skipped: worker registry                                     |
      | pool preflight: rbee-hive <version> is alive at http://<workstation address> |
      | model provisioning                                           |
      | worker preflight: memory is enough                           |
      | worker preflight: the backend cpu is there                   |
      | worker startup: starting worker-                             |
      | registration: worker-                                        |
      | worker health: waiting until worker-                         |
    And standard output names the only worker, workstation and bundled:smollm2-135m-instruct in one line
    And the queen lists that worker as idle on workstation, with 2 slots
    And the worker's command line has a context of 512 and 2 slots
    And the queen that was started is persistent
    When I run `rbee-keeper infer --node workstation --model smollm2 --prompt "write a short story" --max-tokens 5 --json`
    Then it exits with 0
    And "worker startup" is shown as skipped

  Scenario: A worker is started on the second graphics card
    Given graphics cards with 9000 and 8000 MiB free
    And a worker's program that can use these cards
    When I run `rbee-keeper worker start --model smollm2 --backend cuda --device 1`
    Then it exits with 0
    And the worker's program was started with the backend "cuda" and the device "1"
    And standard output says "bundled:smollm2-135m-instruct, cuda:1"
    And queen and hive list the worker with the backend "cuda" and the device 1
    And the queen that was started is persistent

  Scenario: A second worker of one model
    Given a persistent queen, with a worker that has answered once
    When I run `rbee-keeper worker start smollm2 --quiet`
    Then it exits with 0
    And standard error is empty
    And the queen lists two workers of that model, one of them the one of before

  Scenario: With --json, every event is a line of JSON
    The worker is started as the settings say.
    Given the setting hive.worker_host is "<queen address>"
    And the setting worker.slots is 3
    And a persistent queen
    When I run `rbee-keeper worker start --model smollm2 --json`
    Then it exits with 0
    And the events on standard output are narration, loading and at last one ready
    And the ready worker is the one that the queen lists
    And it has 3 slots, all of them free, and listens at http://<queen address>:8001

  Scenario: A worker that does not fit is not started
    When I run `rbee-keeper worker start --model <enormous>`
    Then it exits with 1
    And the error is VRAM_EXHAUSTED
    And it is a clear message with a next step
    And standard output is empty
    And nothing is running
    When I run `rbee-keeper worker start --model <enormous> --backend metal --force`
    Then it exits with 1
    And "loading anyway (--force)" is shown, and right after it "BACKEND_UNAVAILABLE"
    And nothing is running
    When I type `rbee-keeper worker start --model <enormous> --backend metal --force` on a terminal
    Then it exits there with 1
    And the screen says "loading anyway (--force)"

  Scenario Outline: An impossible request is refused, and nothing is left
    When I run `rbee-keeper worker start <flags>`
    Then it exits with <code>
    And the error is <error>
    And it is a clear message with a next step
    And nothing is running

    Examples:
      | flags                           | code | error               |
      | --model smollm2 --node nowhere  | 1    | NODE_NOT_FOUND      |
      | --model smollm2 --backend metal | 1    | BACKEND_UNAVAILABLE |
      | --model smollm2 --slots 0       | 2    | INVALID_REQUEST     |
      | --model nothing-of-that-name    | 1    | INVALID_MODEL_REF   |

  Scenario: Ctrl+C while it loads
    Given a persistent queen
    When I start `rbee-keeper worker start --model <large>`
    And the hive lists a loading worker
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error ends with "Canceled."
    And the queen lists no worker after 10 s
    And nothing but the queen and its hive is running
