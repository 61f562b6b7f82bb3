// Runs every curl example of README.md and src/api/README.md against the real program and compares
// the responses.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "daemon/running_program.hpp"
#include "e2e/token_file.hpp"

namespace kvcache::tests {
namespace {

struct example {
  std::string command;
  std::string response;
};

struct document {
  std::vector<example> examples;
  std::vector<example> token_examples; // below a heading about tokens
  std::string tokens;                  // the lines of the token file it shows
};

std::string without_trailing_newlines(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// In a code block, a line that begins with "$ curl" or "$ until curl" is a command, which goes on
// while it ends in &&. What follows up to the next command or the end of the block is its response.
document read_document(const std::string& name) {
  std::ifstream file{std::string{KVCACHE_SOURCE_DIR} + "/" + name};
  EXPECT_TRUE(file.is_open()) << name;
  document read;
  std::vector<example>* section = &read.examples;
  bool in_block = false;
  bool in_response = false;
  bool goes_on = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      in_block = !in_block;
      in_response = false;
    } else if (!in_block && line.starts_with("#")) {
      const bool about_tokens = line.find("okens") != std::string::npos;
      section = about_tokens ? &read.token_examples : &read.examples;
    } else if (in_block && (line.starts_with("$ curl ") || line.starts_with("$ until curl "))) {
      section->push_back({line.substr(2), ""});
      goes_on = line.ends_with("&&");
      in_response = true;
    } else if (goes_on) {
      section->back().command += " " + line;
      goes_on = line.ends_with("&&");
    } else if (in_block && line.starts_with("read-")) {
      read.tokens += line + "\n";
    } else if (in_response) {
      section->back().response += line + "\n";
    }
  }
  for (auto* examples : {&read.examples, &read.token_examples})
    for (example& each : *examples) each.response = without_trailing_newlines(each.response);
  return read;
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

// What differs from run to run.
std::string without_date_and_tag(const std::string& text) {
  return std::regex_replace(text, std::regex{"(Date|ETag): [^\n]*"}, "$1: …");
}

// For the files that examples write.
class scratch_folder {
public:
  scratch_folder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~scratch_folder() { std::filesystem::remove_all(path_); }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::string& path() const { return path_; }

private:
  std::string path_ = testing::TempDir() + "examples.XXXXXX";
};

void expect_responses(const std::vector<example>& examples, std::vector<std::string> arguments) {
  arguments.emplace_back("--port=0");
  running_program program{arguments};
  const std::uint16_t port = program.wait_for_port();
  ASSERT_NE(port, 0);
  const scratch_folder folder;
  for (const example& each : examples) {
    std::string command = std::regex_replace(each.command, std::regex{"localhost:7171"},
                                             "127.0.0.1:" + std::to_string(port));
    command = std::regex_replace(command, std::regex{"\\bcurl "}, "curl --silent --max-time 10 ");
    const std::string output = output_of("cd '" + folder.path() + "' && " + command);
    EXPECT_EQ(without_date_and_tag(output), without_date_and_tag(each.response)) << each.command;
  }
}

void expect_responses_with_tokens(const document& shown) {
  const test::token_file tokens{shown.tokens};
  expect_responses(shown.token_examples, {"--auth-token-file=" + tokens.path()});
}

TEST(readme, shows_the_actual_responses) {
  const document readme = read_document("README.md");
  EXPECT_GE(readme.examples.size(), 17U);
  expect_responses(readme.examples, {"--enable-flush"}); // as the text requires
}

TEST(api_documentation, shows_the_actual_responses) {
  const document page = read_document("src/api/README.md");
  EXPECT_GE(page.examples.size(), 8U);
  expect_responses(page.examples, {});
}

TEST(api_documentation, shows_the_actual_responses_to_requests_with_tokens) {
  const document page = read_document("src/api/README.md");
  EXPECT_GE(page.token_examples.size(), 3U);
  expect_responses_with_tokens(page);
}

} // namespace
} // namespace kvcache::tests
