// The real program as a process: exit codes, streams, signals, the start-up line.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "daemon/running_program.hpp"
#include "process/health_check.hpp"

namespace {

using kvcache::tests::running_program;

struct outcome {
  int exit_code = -1;
  std::string output; // standard output or standard error, as the command redirects
};

outcome run(const std::string& prefix, const std::string& arguments) {
  outcome result;
  const std::string line = prefix + " '" KVCACHE_PROGRAM "' " + arguments;
  FILE* pipe = popen(line.c_str(), "re"); // NOLINT(concurrency-mt-unsafe): the test has one thread
  if (pipe == nullptr) return result;
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe)) {
    result.output.append(piece.data(), got);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

TEST(program, ends_with_2_and_a_message_on_standard_error_for_a_wrong_flag) {
  const outcome wrong = run("", "--port=x 2>&1 >/dev/null");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.output.find("--port"), std::string::npos) << wrong.output;
}

TEST(program, ends_with_2_and_a_message_on_standard_error_for_a_wrong_variable) {
  const outcome wrong = run("KVCACHE_THREADS=several", "2>&1 >/dev/null");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.output.find("KVCACHE_THREADS"), std::string::npos) << wrong.output;
}

TEST(program, prints_help_version_and_configuration_to_standard_output_and_ends_with_0) {
  const outcome help = run("", "--help 2>/dev/null");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.output.find("Usage: keyvalue-cache"), std::string::npos);
  EXPECT_EQ(run("", "--version 2>/dev/null").exit_code, 0);
  const outcome config = run("KVCACHE_THREADS=7", "--print-config 2>/dev/null");
  EXPECT_EQ(config.exit_code, 0);
  EXPECT_NE(config.output.find("threads=7 # environment KVCACHE_THREADS\n"), std::string::npos);
}

TEST(program, prints_the_resolved_values_of_auto) {
  const outcome config = run("", "--print-config");
  EXPECT_EQ(config.output.find("threads=auto"), std::string::npos) << config.output;
  EXPECT_NE(config.output.find("max-body-bytes=16384 # default\n"), std::string::npos)
      << config.output;
}

// Sends one request and returns all output until the server closes.
std::string ask(std::uint16_t port, const std::string& request) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  if (connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    send(peer, request.data(), request.size(), MSG_NOSIGNAL);
    std::array<char, 4096> piece{};
    for (ssize_t got = 0; (got = recv(peer, piece.data(), piece.size(), 0)) > 0;) {
      answer.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  close(peer);
  return answer;
}

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + fields + "\r\n";
}

TEST(program, logs_address_threads_and_memory_limit_with_its_source_at_start) {
  running_program program{{"--port=0", "--threads=3", "--memory-limit=64M"}};
  const std::string line = program.wait_for_line("listening on 127.0.0.1:");
  EXPECT_EQ(line.find(":0 "), std::string::npos) << line;
  EXPECT_NE(line.find(" with 3 threads, memory limit 64 MiB (--memory-limit)"), std::string::npos)
      << line;
}

#ifndef KVCACHE_SANITIZED // an instrumented program needs more memory, and more descriptors, than
                          // these
TEST(program, serves_within_the_lowest_permitted_memory_limit) {
  running_program program{{"--port=0", "--memory-limit=16M"}};
  const std::uint16_t port = program.wait_for_port();
  const std::string body = R"({"key":"a","value":"b"})";
  EXPECT_EQ(
      ask(port, "POST /put HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body)
          .substr(0, 12),
      "HTTP/1.1 200");
  EXPECT_NE(ask(port, get("/get?key=a")).find(R"("value":"b")"), std::string::npos);
}
#endif

TEST(program, ends_with_0_on_sigterm_and_on_sigint) {
  for (const int signal : {SIGTERM, SIGINT}) {
    running_program program{{"--port=0"}};
    ASSERT_NE(program.wait_for_port(), 0);
    program.send_signal(signal);
    EXPECT_NE(program.wait_for_line("info  stopped"), "");
    EXPECT_EQ(program.wait_for_end(), 0);
  }
}

TEST(program, logs_the_number_of_responses_at_its_end) {
  running_program program{{"--port=0"}};
  const std::uint16_t port = program.wait_for_port();
  for (int i = 0; i < 3; ++i) ask(port, get("/get?key=a"));
  ask(port, get("/healthz"));
  program.send_signal(SIGTERM);
  EXPECT_NE(program.wait_for_line("stopped; responded to 3 GETs and 0 PUTs"), "");
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(program, ends_immediately_on_a_second_signal) {
  // The drain would last an hour.
  running_program program{{"--port=0", "--drain-delay-ms=3600000", "--drain-timeout-ms=3600001"}};
  ASSERT_NE(program.wait_for_port(), 0);
  program.send_signal(SIGTERM);
  ASSERT_NE(program.wait_for_line("stopping"), "");
  program.send_signal(SIGTERM);
  EXPECT_NE(program.wait_for_line("second stop signal"), "");
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(program, logs_json_lines_if_configured) {
  running_program program{{"--port=0", "--log-format=json"}};
  const std::string line = program.wait_for_line("listening on");
  EXPECT_EQ(line.find("{\"time\":\""), 0U) << line;
  EXPECT_NE(line.find("\"level\":\"info\",\"message\":\"keyvalue-cache "), std::string::npos)
      << line;
}

TEST(program, ends_with_1_and_a_message_if_the_port_is_in_use) {
  running_program first{{"--port=0"}};
  const std::uint16_t port = first.wait_for_port();
  ASSERT_NE(port, 0);
  running_program second{{"--port=" + std::to_string(port)}};
  EXPECT_NE(second.wait_for_line("cannot listen on 127.0.0.1:" + std::to_string(port) +
                                 ": Address already in use"),
            "");
  EXPECT_EQ(second.wait_for_end(), 1);
}

TEST(program, ends_with_2_if_the_token_file_does_not_exist) {
  running_program program{{"--port=0", "--auth-token-file=/nonexistent/tokens"}};
  EXPECT_NE(program.wait_for_line("--auth-token-file /nonexistent/tokens: No such file"), "");
  EXPECT_EQ(program.wait_for_end(), 2);
}

TEST(program, names_the_variable_that_named_the_token_file) {
  const outcome wrong = run("KVCACHE_AUTH_TOKEN_FILE=/nonexistent/tokens", "--port=0 2>&1");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.output.find("KVCACHE_AUTH_TOKEN_FILE /nonexistent/tokens: No such file"),
            std::string::npos)
      << wrong.output;
}

#ifndef KVCACHE_SANITIZED // see above
TEST(program, ends_with_1_and_a_message_without_descriptors) {
  // There is one descriptor besides the standard ones, and the signals alone take two.
  const outcome wrong = run("exec 2>&1 3>&-; ulimit -n 4;", "--port=0");
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.output.find("keyvalue-cache: eventfd: "), std::string::npos) << wrong.output;
}
#endif

TEST(program, warns_of_an_unknown_variable) {
  ASSERT_EQ(setenv("KVCACHE_PROT", "1", 1),
            0); // NOLINT(concurrency-mt-unsafe): the test has one thread
  running_program program{{"--port=0"}};
  unsetenv("KVCACHE_PROT"); // NOLINT(concurrency-mt-unsafe)
  EXPECT_NE(program.wait_for_line("KVCACHE_PROT"), "");
}

TEST(program, passes_its_own_health_check_until_it_ends) {
  running_program program{{"--port=0"}};
  const std::string port = std::to_string(program.wait_for_port());
  EXPECT_EQ(run("", "--health-check --port=" + port + " 2>&1").exit_code, 0);
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_for_end(), 0);
  const outcome gone = run("", "--health-check --port=" + port + " 2>&1");
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_NE(gone.output.find("Connection refused"), std::string::npos) << gone.output;
}

TEST(program, reloads_its_tokens_on_sighup_and_keeps_them_if_the_file_is_invalid) {
  std::string path = testing::TempDir() + "/tokensXXXXXX";
  const int descriptor = mkstemp(path.data());
  ASSERT_GE(descriptor, 0);
  close(descriptor);
  std::ofstream{path} << "read-only first\n";

  running_program program{{"--port=0", "--auth-token-file=" + path}};
  const std::uint16_t port = program.wait_for_port();
  ASSERT_NE(port, 0);
  EXPECT_EQ(ask(port, get("/get?key=a")).substr(0, 12), "HTTP/1.1 401");
  EXPECT_EQ(ask(port, get("/get?key=a", "Authorization: Bearer first\r\n")).substr(0, 12),
            "HTTP/1.1 404");

  std::ofstream{path} << "read-only second\n";
  program.send_signal(SIGHUP);
  EXPECT_NE(program.wait_for_line("tokens in force from " + path + ": 1"), "");
  EXPECT_EQ(ask(port, get("/get?key=a", "Authorization: Bearer first\r\n")).substr(0, 12),
            "HTTP/1.1 401");
  EXPECT_EQ(ask(port, get("/get?key=a", "Authorization: Bearer second\r\n")).substr(0, 12),
            "HTTP/1.1 404");

  std::ofstream{path} << "nonsense-secret\n";
  program.send_signal(SIGHUP);
  const std::string line = program.wait_for_line("tokens unchanged");
  EXPECT_NE(line.find("line 1"), std::string::npos) << line;
  EXPECT_EQ(line.find("nonsense"), std::string::npos) << line;
  EXPECT_EQ(ask(port, get("/get?key=a", "Authorization: Bearer second\r\n")).substr(0, 12),
            "HTTP/1.1 404");
  unlink(path.c_str());
}

TEST(program, warns_of_the_number_of_connections_that_the_memory_limit_allows) {
  running_program program{{"--port=0", "--memory-limit=64M"}};
  const std::uint16_t port = program.wait_for_port();
  EXPECT_NE(program.wait_for_line("only 5461 connections"), "");
  EXPECT_NE(ask(port, get("/stats")).find("\"max_connections\":5461"), std::string::npos);
}

TEST(program, shows_its_state_and_configuration_in_stats) {
  running_program program{
      {"--port=0", "--threads=1", "--max-entries=1000", "--max-connections=100"}};
  const std::uint16_t port = program.wait_for_port();
  const std::string stats = ask(port, get("/stats"));
  EXPECT_NE(stats.find("\"state\":\"ready\""), std::string::npos) << stats;
  EXPECT_NE(stats.find("\"port\":" + std::to_string(port)), std::string::npos) << stats;
  EXPECT_NE(stats.find("\"max_entries\":1000"), std::string::npos) << stats;
  EXPECT_NE(stats.find("\"max_connections\":100"), std::string::npos) << stats;
  EXPECT_EQ(stats.find("\"limit_bytes\":0"), std::string::npos)
      << "the memory has not been read: " << stats;
}

} // namespace
