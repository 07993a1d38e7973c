Feature: A person who can log in with ssh need not set up anything else

  @beyond @agent
  Scenario: A key with a passphrase, which the person's agent holds
    Given the node workstation
    And the person's key has a passphrase
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 1
    And standard error says "the key was rejected"
    And the next step says "The queen has no SSH agent"
    Given an agent holds the person's key
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And the SSH server of workstation let somebody in with the person's key
    And the agent was not forwarded to workstation
    Given ~/.ssh/config has for workstation.home.arpa
      | ForwardAgent yes |
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa`
    Then it exits with 0
    And the agent was forwarded to workstation

  @beyond @agent
  Scenario: The key that a node names is offered before those of the agent
    Most servers hang up after six keys.
    Given the node workstation
    And the person's only key is ~/.ssh/lab
    And an agent holds another key
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --ssh-key ~/.ssh/lab --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And workstation was offered the person's key, and no other

  @beyond @agent
  Scenario: A persistent queen uses the agent that it was started with
    Given the node workstation
    And the person's key has a passphrase
    And an agent holds the person's key
    And a persistent queen
    When I run `rbee-keeper setup add-node --name workstation --ssh-host workstation.home.arpa --accept-host-key <workstation fingerprint>`
    Then it exits with 0

  @beyond
  Scenario: User, port, host name and key as ~/.ssh/config has them
    Given the node workstation, whose SSH server is at port 2222
    And the person's only key is ~/.ssh/lab
    And ~/.ssh/config has for box
      | HostName <workstation address> |
      | Port <workstation port>        |
      | User vince                     |
      | IdentityFile ~/.ssh/lab        |
    When I run `rbee-keeper setup add-node --name workstation --ssh-host box --accept-host-key <workstation fingerprint>`
    Then it exits with 0
    And the SSH server of workstation let vince in with the person's key

  @beyond
  Scenario: Inference also works through jump hosts
    Given the node gate
    And the node porch
    And the node workstation
    And ~/.ssh/config has for workstation.home.arpa
      | ProxyJump gate.home.arpa,porch.home.arpa |
    And the person's ssh knows the key of gate
    And the person's ssh knows the key of porch
    And a free port of this machine, <free port>
    And somebody has added workstation with --hive-port <free port>
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then everything that listens on workstation listens on 127.0.0.1
    And it exits with 0
    And every connection to workstation came through porch
    And every connection to porch came through gate
    And nothing is running

  @beyond
  Scenario: Behind a ProxyCommand, the node's own ports are not reached directly
    Given the node workstation
    And ~/.ssh/config has for workstation.home.arpa
      | ProxyCommand <relay> %h %p |
    And a free port of this machine, <free port>
    And somebody has added workstation with --hive-port <free port>
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then everything that listens on workstation listens on 127.0.0.1
    And it exits with 0

  @beyond
  Scenario: With `tunnel`, everything goes through SSH
    Given the token hf_that-a-file-has is where huggingface_hub looks for it
    And the node workstation
    And a free port of this machine, <free port>
    And the file <home>/lab-key with another key
    And somebody has added workstation with --tunnel --hive-port <free port> --api-key-file <home>/lab-key
    When I start `rbee-keeper infer --node workstation --prompt "write a long story" --max-tokens 60 --temperature 0`
    And the story is arriving
    Then everything that listens on workstation listens on 127.0.0.1
    And the hive on workstation listens at 127.0.0.1:<free port>
    And the hive on workstation was given the key in <home>/lab-key, and the token hf_that-a-file-has
    And it exits with 0
    And workstation was asked to connect to its own hive and worker
    And nothing is running

  @beyond
  Scenario: A login that prints a greeting on both outputs
    Given the node workstation
    And every login on workstation is greeted with a line of text and one of JSON
    And somebody has added workstation
    When I run `rbee-keeper infer --node workstation --prompt "write a short story" --max-tokens 20 --temperature 0`
    Then it exits with 0
    And standard output holds the story and nothing else
    And nothing is running
