#include "http/field_rules.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

TEST(field_rules, accept_no_transfer_coding_but_a_final_chunked) {
  for (const std::string_view value : {"chunked", "ChunKed", ",chunked", "chunked ,"})
    EXPECT_EQ(check_transfer_encoding(value) == fault::none, value.find(',') == value.npos);
  EXPECT_EQ(check_transfer_encoding("gzip"), fault::unknown_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding("gzip, chunked"), fault::unknown_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding("chunked, gzip"), fault::bad_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding("chunked, chunked"), fault::bad_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding("chunked;q=1"), fault::bad_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding(" , "), fault::bad_transfer_encoding);
  EXPECT_EQ(check_transfer_encoding(""), fault::bad_transfer_encoding);
}

TEST(field_rules, accept_no_expectation_but_100_continue) {
  for (const std::string_view value :
       {"100-continue", "100-Continue", "100-continue,,100-continue"})
    EXPECT_TRUE(expects_100_continue(value)) << value;
  for (const std::string_view value : {"", ",", "100-continue, other", "100", "100-continue;a"})
    EXPECT_FALSE(expects_100_continue(value)) << value;
}

TEST(field_rules, find_a_content_coding_other_than_identity) {
  for (const std::string_view value : {"gzip", "identity, br", ",x"})
    EXPECT_TRUE(names_a_coding(value)) << value;
  for (const std::string_view value : {"", "identity", "Identity,,identity", " , "})
    EXPECT_FALSE(names_a_coding(value)) << value;
}

TEST(field_rules, check_a_line_before_the_head_has_ended) {
  for (const std::string_view line : {"", "a:", "a: b", "a:\tb \xff", "Content-Length: 12 "})
    EXPECT_EQ(check_field_line(line), fault::none) << line;
  for (const std::string_view line : {"a", ":b", "a b: c", "a : b", "\xff: a", " a: b"})
    EXPECT_EQ(check_field_line(line), fault::bad_field_line) << line;
  EXPECT_EQ(check_field_line("a: b\rc"), fault::bad_line_ending);
  EXPECT_EQ(check_field_line("a: \x7f"), fault::bad_field_value);
  EXPECT_EQ(check_field_line(std::string_view("a: \0", 4)), fault::bad_field_value);
  for (const std::string_view line :
       {"content-length:", "Content-Length: 1 2", "CONTENT-LENGTH:+1"})
    EXPECT_EQ(check_field_line(line), fault::bad_content_length) << line;
}

TEST(field_rules, find_a_carriage_return_without_its_line_feed) {
  for (const std::string_view text : {"a\rb", "\r\r\n", "\r\n\rx"})
    EXPECT_TRUE(has_bare_cr(text)) << text;
  for (const std::string_view text : {"", "a\r\nb", "a\r", "\n"})
    EXPECT_FALSE(has_bare_cr(text)) << text;
}

} // namespace
} // namespace kvcache::http
