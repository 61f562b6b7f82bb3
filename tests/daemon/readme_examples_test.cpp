// Every example with curl in the README, run against the real program: the answers are as printed.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "daemon/running_program.hpp"

namespace kvcache::tests {
namespace {

struct example {
  std::string command;
  std::string answer;
};

std::string without_trailing_newlines(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// In a block of code, a line that begins with "$ curl" is a command, and what follows up to the
// next command or the end of the block is its answer.
std::vector<example> read_examples(const std::string& path) {
  std::ifstream file{path};
  std::vector<example> examples;
  bool in_answer = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("$ curl ", 0) == 0) {
      examples.push_back({line.substr(2), ""});
      in_answer = true;
    } else if (line.rfind("```", 0) == 0) {
      in_answer = false;
    } else if (in_answer) {
      examples.back().answer += line + "\n";
    }
  }
  for (example& each : examples) each.answer = without_trailing_newlines(each.answer);
  return examples;
}

std::string output_of(const std::string& command) {
  FILE* pipe =
      popen(command.c_str(), "re"); // NOLINT(concurrency-mt-unsafe): the test has one thread
  if (pipe == nullptr) return "";
  std::string output;
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe)) {
    output.append(piece.data(), got);
  }
  pclose(pipe);
  return std::regex_replace(without_trailing_newlines(output), std::regex{"\r"}, "");
}

std::string without_date(const std::string& text) {
  return std::regex_replace(text, std::regex{"Date: [^\n]*"}, "Date: …");
}

TEST(readme, shows_answers_that_the_program_really_gives) {
  running_program program{{"--port=0"}};
  const std::uint16_t port = program.wait_for_port();
  ASSERT_NE(port, 0);
  const auto examples = read_examples(std::string{KVCACHE_SOURCE_DIR} + "/README.md");
  EXPECT_GE(examples.size(), 8U);
  for (const example& each : examples) {
    std::string command = std::regex_replace(each.command, std::regex{"localhost:7171"},
                                             "127.0.0.1:" + std::to_string(port));
    command.replace(0, 4, "curl --silent --max-time 10");
    EXPECT_EQ(without_date(output_of(command)), without_date(each.answer)) << each.command;
  }
}

} // namespace
} // namespace kvcache::tests
