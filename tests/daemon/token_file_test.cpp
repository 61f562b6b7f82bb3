#include "daemon/token_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
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

TEST(token_file, parses_tokens_with_their_permissions) {
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

TEST(token_file, names_the_line_of_a_fault_but_never_its_content) {
  for (const char* line :
       {"read-write", "read-write \n", "secret", "write secret", "read-only two secrets",
        "read-only s\xc3\xa9", "read-only ===", "read-only a=b", "Read-Only secret"}) {
    const std::string fault = fault_of("read-only good\n" + std::string{line});
    EXPECT_EQ(fault, "line 2 is not 'read-only TOKEN' or 'read-write TOKEN'") << line;
  }
}

TEST(token_file, rejects_a_file_without_tokens) {
  EXPECT_EQ(fault_of(""), "it contains no token");
  EXPECT_EQ(fault_of("# nothing\n\n"), "it contains no token");
}

TEST(token_file, reports_why_it_cannot_be_read) {
  const auto parsed = read_token_file("/nonexistent/tokens");
  ASSERT_TRUE(std::holds_alternative<token_file_fault>(parsed));
  EXPECT_EQ(std::get<token_file_fault>(parsed).what, "No such file or directory");
  EXPECT_EQ(std::get<token_file_fault>(read_token_file("/")).what, "it is not a regular file");
  EXPECT_EQ(std::get<token_file_fault>(read_token_file("/dev/zero")).what,
            "it is not a regular file");
}

// A file that exists during a test.
class file_of_test {
public:
  explicit file_of_test(const std::string& text) {
    close(mkstemp(path_.data()));
    std::ofstream{path_} << text;
  }
  ~file_of_test() { unlink(path_.c_str()); }
  file_of_test(const file_of_test&) = delete;
  file_of_test& operator=(const file_of_test&) = delete;

  const std::string& path() const { return path_; }

private:
  std::string path_ = testing::TempDir() + "/tokensXXXXXX";
};

TEST(token_file, does_not_wait_for_the_writer_of_a_fifo) {
  const file_of_test place{""};
  unlink(place.path().c_str());
  ASSERT_EQ(mkfifo(place.path().c_str(), 0600), 0);
  EXPECT_EQ(std::get<token_file_fault>(read_token_file(place.path())).what,
            "it is not a regular file");
}

TEST(token_file, reads_no_more_than_64_kib) {
  const std::string line = "read-only abc\n";
  const std::string fits((64 << 10) - line.size(), '\n');
  const file_of_test full{line + fits};
  EXPECT_TRUE(std::holds_alternative<token_file>(read_token_file(full.path())));
  const file_of_test larger{line + fits + "\n"};
  EXPECT_EQ(std::get<token_file_fault>(read_token_file(larger.path())).what,
            "it is larger than 64 KiB");
}

TEST(token_file, warns_only_if_every_user_may_read_or_write_it) {
  const file_of_test file{"read-only abc\n"};
  const auto warning = [&](mode_t mode) {
    chmod(file.path().c_str(), mode);
    return std::get<token_file>(read_token_file(file.path())).warning;
  };
  EXPECT_EQ(warning(0600), "");
  EXPECT_EQ(warning(0640), "");
  EXPECT_EQ(warning(0644),
            "every user of this machine may read it (mode 0644); restrict it with chmod o=");
  EXPECT_EQ(warning(0602),
            "every user of this machine may change it (mode 0602); restrict it with chmod o=");
}

TEST(token_file, reads_a_file) {
  const file_of_test file{"read-only abc\n"};
  const auto read = read_token_file(file.path());
  ASSERT_TRUE(std::holds_alternative<token_file>(read));
  EXPECT_EQ(std::get<token_file>(read).tokens.size(), 1U);
}

} // namespace
} // namespace kvcache::config
