#include "config/token_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace kvcache::config {
namespace {

using http::permission;

std::string fault_of(std::string_view text) {
  const auto parsed = parse_token_file(text);
  const auto* fault = std::get_if<token_file_fault>(&parsed);
  return fault == nullptr ? "" : fault->what;
}

TEST(token_file, reads_tokens_with_what_they_allow) {
  const auto parsed =
      parse_token_file("# dashboards\nread-only  abc.DEF-1_2~3+4/5==\n\n  read-write\tsecret \r\n");
  const auto* tokens = std::get_if<token_list>(&parsed);
  ASSERT_NE(tokens, nullptr) << fault_of("");
  ASSERT_EQ(tokens->size(), 2U);
  EXPECT_EQ((*tokens)[0].secret, "abc.DEF-1_2~3+4/5==");
  EXPECT_EQ((*tokens)[0].grants, permission::read);
  EXPECT_EQ((*tokens)[1].secret, "secret");
  EXPECT_EQ((*tokens)[1].grants, permission::write);
}

TEST(token_file, names_the_line_of_a_fault_and_never_its_content) {
  for (const char* line :
       {"read-write", "read-write \n", "secret", "write secret", "read-only two secrets",
        "read-only s\xc3\xa9", "read-only ===", "read-only a=b", "Read-Only secret"}) {
    const std::string fault = fault_of("read-only good\n" + std::string{line});
    EXPECT_EQ(fault, "line 2 is not 'read-only TOKEN' or 'read-write TOKEN'") << line;
  }
}

TEST(token_file, refuses_a_file_without_tokens) {
  EXPECT_EQ(fault_of(""), "there is no token in it");
  EXPECT_EQ(fault_of("# nothing\n\n"), "there is no token in it");
}

TEST(token_file, says_why_it_cannot_be_read) {
  const auto parsed = read_token_file("/nonexistent/tokens");
  ASSERT_TRUE(std::holds_alternative<token_file_fault>(parsed));
  EXPECT_EQ(std::get<token_file_fault>(parsed).what, "No such file or directory");
  EXPECT_EQ(std::get<token_file_fault>(read_token_file("/")).what, "it cannot be read");
  EXPECT_EQ(std::get<token_file_fault>(read_token_file("/dev/zero")).what,
            "it is larger than 64 KiB");
}

TEST(token_file, reads_a_file) {
  std::string path = testing::TempDir() + "/tokensXXXXXX";
  const int descriptor = mkstemp(path.data());
  ASSERT_GE(descriptor, 0);
  close(descriptor);
  std::ofstream{path} << "read-only abc\n";
  EXPECT_TRUE(std::holds_alternative<token_list>(read_token_file(path)));
  unlink(path.c_str());
}

} // namespace
} // namespace kvcache::config
