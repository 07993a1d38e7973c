Feature: A download that fails is reported, and nothing is left that looks like a model

  @beyond
  Scenario: A file that is not what the Hub says
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub reports a wrong sha256 for small.gguf in lab/small
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is CHECKSUM_MISMATCH
    And the error names lab/small/small.gguf, the sha256 of the small model, and that of the Hub as the expected one
    And it is a clear message with a next step
    And the models folder holds no model
    And no partial file is left
    And the catalog has no row for hf:lab/small/small.gguf

  @beyond
  Scenario Outline: A Hub whose listings <how>
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub's listings <how>
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And standard error says "the Hub's answer can't be read: <why>"
    And the hive never had more than 300 MB in memory
    And it is a clear message with a next step

    Examples:
      | how                                | why                    |
      | never end                          | it has more than 16 MB |
      | have a word in place of their list | Expected               |

  @beyond
  Scenario: A gated model, without a token
    Given the Hub has lab/small with small.gguf, the small model
    And lab/small requires the token hf_opensesame
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is MODEL_GATED
    And standard error says "/lab/small"
    And it is a clear message with a next step
    And the next step says "then give the node a token"
    And the Hub was asked once for the file's header, and for nothing else of the file

  @beyond
  Scenario: A gated model, with the token in the usual place
    Given the setting log.level is "debug"
    And the Hub has lab/small with small.gguf, the small model
    And lab/small requires the token hf_opensesame
    And the Hub redirects files to another host
    And the token hf_opensesame is where huggingface_hub looks for it
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 0
    And the file lab/small/small.gguf is the one on the Hub
    And the token hf_opensesame was sent to the Hub, and never to the other host
    And the token hf_opensesame is in no command line, environment, output or log

  @beyond
  Scenario: Offline, with the model on disk
    Given the Hub has lab/smol with smol-Q4_1.gguf, the bundled model
    And the environment has HF_HUB_OFFLINE=1
    And a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    When I run `rbee-keeper infer --model hf:lab/smol:Q4_1 --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0
    And the Hub was asked for nothing

  @beyond
  Scenario: Offline, without it
    Given the Hub has lab/small with small.gguf, the small model
    And the environment has HF_HUB_OFFLINE=1
    When I run `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And standard error says "offline"
    And it is a clear message with a next step
    And the Hub was asked for nothing

  @beyond
  Scenario Outline: A way to the Hub that can't be gone, <variable>
    Given the Hub has lab/small with small.gguf, the small model
    And the environment has <variable>=<value>
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And standard error says "<words>"
    And it is a clear message with a next step
    And the Hub was asked for nothing

    Examples:
      | variable    | value               | words                                          |
      | HF_ENDPOINT | hf-mirror.com       | HF_ENDPOINT is not an address that begins with |
      | ALL_PROXY   | socks4://127.0.0.1:1 | ALL_PROXY names a proxy with socks4://         |

  @beyond
  Scenario: The Hub is down
    Given the Hub is down
    When I run `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And it took at least 3.1 s and less than 20 s
    And standard error says "attempt 6 of 6 in 1600 ms"
    And it is a clear message with a next step
    And the next step says "Check that the node can reach the Hub"

  @beyond
  Scenario: Something that is not a Hub in its place
    Given a web site listens in the place of the Hub
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    And it is a clear message with a next step
    And nothing is running

  @beyond
  Scenario: The Hub swallows connections
    Given a port that swallows connections listens in the place of the Hub
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is DOWNLOAD_FAILED
    # Six tries of 2 s, 3.1 s of pauses between them, and two programs that start and end.
    And it took at least 15 s and less than 30 s
    And it is a clear message with a next step

  @beyond
  Scenario: Ctrl+C while the Hub keeps silent
    Given a mute server listens in the place of the Hub
    When I start `rbee-keeper infer --model hf:lab/small/small.gguf --prompt hi`
    And a program is connected to the Hub
    And the keeper gets SIGINT
    Then it exits with 130
    And standard error says "Canceled."
    And it ended less than 8 s after that
    And nothing is running

  @beyond
  Scenario Outline: A file that is <what>
    Given the Hub has lab/broken with broken-Q4_K_M.gguf, the <what> model
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/broken`
    Then it exits with 1
    And the error is <code>
    And it is a clear message with a next step
    And nothing but headers of files was sent

    Examples:
      | what                     | code                     |
      | empty                    | MODEL_CORRUPT            |
      | a shopping list          | UNSUPPORTED_MODEL_FORMAT |
      | cut in its header        | MODEL_CORRUPT            |
      | noise behind the magic   | MODEL_CORRUPT            |
      | noise behind the version | MODEL_CORRUPT            |

  @beyond
  Scenario: The Hub is down, with the model on disk
    Given a person placed the bundled model at lab/smol/smol-Q4_1.gguf in the models folder
    And the Hub is down
    When I run `rbee-keeper infer --model hf:lab/smol --prompt "write a short story" --max-tokens 5 --temperature 0`
    Then it exits with 0

  @beyond
  Scenario Outline: A model in another format: <reference>
    Given the Hub has lab/tensors with model.safetensors, the safetensors model
    When I run `rbee-keeper models download <reference>`
    Then it exits with 1
    And the error is UNSUPPORTED_MODEL_FORMAT
    And the next step says "convert_hf_to_gguf.py"

    Examples:
      | reference                        |
      | hf:lab/tensors                   |
      | hf:lab/tensors/model.safetensors |

  @beyond
  Scenario Outline: A <what> that is not there
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
      | big-Q6_K-00001-of-00003.gguf | small Q6_K |
      | big-Q6_K-00003-of-00003.gguf | small Q6_K |
    And its branch v2 has small-Q8_0.gguf, the small Q8_0 model
    When I run `rbee-keeper models download <reference>`
    Then it exits with 1
    And the error is MODEL_NOT_FOUND
    And standard error says "<words>"
    And it is a clear message with a next step
    And nothing but headers of files was sent

    Examples:
      | what         | reference                        | words             |
      | repository   | hf:lab/smal                      | lab/smal          |
      | revision     | hf:lab/small@v9/small-Q8_0.gguf  | v9                |
      | file         | hf:lab/small/small-Q8.gguf       | Did you mean hf:lab/small/small-Q8_0.gguf, hf:lab/small/small-Q4_K_M.gguf? |
      | quantization | hf:lab/small:Q4_K                | Did you mean hf:lab/small:Q4_K_M, hf:lab/small:Q8_0? |
      | quantization | hf:lab/small:Q8_1                | Did you mean hf:lab/small:Q8_0, hf:lab/small:Q4_K_M? |
      | quantization | hf:lab/small@v2:Q4_K             | Did you mean hf:lab/small@v2:Q8_0? |
      | part         | hf:lab/small:Q6_K                | part 2 of 3 is missing: big-Q6_K-00002-of-00003.gguf |

  @beyond @tmpfs
  Scenario: A disk with too little room
    Given the Hub has lab/small with small.gguf, the small model
    And the models folder is on a disk of 24 MB
    And a person placed the cut in its header model at old/a/small.gguf in the models folder
    And a person placed the small Q8_0 model at old/older/oldest.gguf in the models folder
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/small/small.gguf`
    Then it exits with 1
    And the error is DISK_FULL
    And the error names 15 MB needed, and what is free on that disk
    And standard error says "hf:old/older/oldest.gguf (15 MB), hf:old/a/small.gguf (0 MB)"
    And it is a clear message with a next step
    And nothing but headers of files was sent

  @beyond @tmpfs
  Scenario: Two downloads that don't both fit
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And the Hub sends 4 MB a second
    And the models folder is on a disk of 24 MB
    And a queen and a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q4_K_M
    And 20 % of small-Q4_K_M.gguf has been sent
    And I run `rbee-keeper models download hf:lab/small:Q8_0`
    Then it exits with 1
    And the error is DISK_FULL
    And the Hub was asked 0 times for small-Q8_0.gguf
    When the Hub sends 100 MB a second
    Then it is fetched

  @beyond @tmpfs
  Scenario: Two downloads that both fit, since most of the first is here
    Given the Hub has lab/small with these files
      | file              | content      |
      | small-Q4_K_M.gguf | small Q4_K_M |
      | small-Q8_0.gguf   | small Q8_0   |
    And the Hub sends 4 MB a second
    And the models folder is on a disk of 34 MB
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small:Q4_K_M
    And 60 % of small-Q4_K_M.gguf has been sent
    And another client asks the hive to fetch hf:lab/small:Q8_0
    And the Hub sends 100 MB a second
    Then both streams report the end

  @beyond @tmpfs
  Scenario: What has come already needs no room
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 8 MB a second
    And the models folder is on a disk of 20 MB
    And a hive that an operator started
    When the hive is asked to fetch hf:lab/small/small.gguf
    And 60 % of small.gguf has been sent
    And the hive is restarted
    And the hive is asked to fetch hf:lab/small/small.gguf
    Then it is fetched

  @beyond @tmpfs
  Scenario: A disk that fills up in mid-download
    Given the Hub has lab/small with small.gguf, the small model
    And the Hub sends 8 MB a second
    And the models folder is on a disk of 24 MB
    And a queen and a hive that an operator started
    When I start `rbee-keeper models download hf:lab/small/small.gguf`
    And 40 % of small.gguf has been sent
    And the disk fills up
    Then it exits with 1
    And the error is DISK_FULL
    And the error names what is missing of small.gguf, and 0 MB free
    And it is a clear message with a next step
    And the partial file is kept
    And the models folder holds no model

  @beyond
  Scenario: A repository that wants to write where it must not
    Given the Hub has lab/evil with ../../../../evil-Q4_K_M.gguf, the small model
    And a queen and a hive that an operator started
    When I run `rbee-keeper models download hf:lab/evil`
    Then it exits with 1
    And it is a clear message with a next step
    And nothing but headers of files was sent
    And nothing was written outside the models folder and ~/.rbee
