@beyond
Feature: A web page can't use a daemon through the browser that shows it
  A browser sends what a page asks for to any address that it reaches. The daemons answer only to names
  of their own, and to no page that the operator has not allowed.

  Scenario: Names and pages of others, with the key and without
    Given a persistent queen, with a worker that has answered once
    When every route of queen, hive and worker is asked with each of these headers, with the key and without
      | header | value                       |
      | Host   | evil.example                |
      | Host   | 127.0.0.1.evil.example:8080 |
      | Host   | 2130706433                  |
      | Origin | http://evil.example         |
      | Origin | http://127.0.0.1:3000       |
      | Origin | null                        |
    Then each answers 403 with INVALID_REQUEST, which names the header, its value and a setting in [auth]
    And queen, hive and worker are still the same processes

  Scenario: What a page may send without asking first
    Given a persistent queen, with a worker that has answered once
    When each POST of queen, hive and worker is sent with the key, {} as its body, and each of these types
      | type                              |
      | text/plain                        |
      | application/x-www-form-urlencoded |
      | multipart/form-data               |
    Then each answers 415 with INVALID_REQUEST, which names Content-Type and its value
    And queen, hive and worker are still the same processes

  Scenario: Names and pages that the operator allows
    Given the setting auth.hosts is ["llm.example.org:8443"]
    And the setting auth.origins is ["https://chat.example.org"]
    And a persistent queen
    Then the queen answers 200 to each of these
      | Host                 | Origin                   |
      | llm.example.org      |                          |
      | LLM.example.org:8080 | https://chat.example.org |
      | localhost            | http://localhost         |
      | localhost:8080       | http://localhost:8080    |
      | box.local:8080       |                          |
      | box.home.arpa:8080   |                          |
      | box.internal         |                          |
      | <host>:8080          |                          |
    And the queen answers 403 to each of these
      | Host                  | Origin                          |
      | chat.example.org      |                                 |
      | llm.example.org.evil  |                                 |
      | llm.example.org       | http://chat.example.org         |
      | llm.example.org       | https://chat.example.org.evil   |
      | localhost:8080        | http://localhost:3000           |
      | localhost             | http://localhost:8080           |
    And a page from https://chat.example.org may ask first, without the key, and reads answers and errors
    And a page from https://other.example.org may neither ask nor read
    And the queen proves that it has the key to whoever reaches it as llm.example.org:8443, but not as llm.example.org:8080
