#include "process/printable.hpp"

#include <gtest/gtest.h>

namespace kvcache::config {
namespace {

using namespace std::string_view_literals;

TEST(printable, leaves_printable_ascii_unchanged) {
  EXPECT_EQ(printable("GET /get?key=a \"b\" ~"), "GET /get?key=a \"b\" ~");
  EXPECT_EQ(printable(""), "");
}

TEST(printable, writes_other_bytes_in_hexadecimal) {
  EXPECT_EQ(printable("a\r\nb\t\0c\x7f"sv), R"(a\x0d\x0ab\x09\x00c\x7f)");
  EXPECT_EQ(printable("\x1b[31mred"), R"(\x1b[31mred)");
  EXPECT_EQ(printable("\xc3\xa9\xff"), R"(\xc3\xa9\xff)");
}

TEST(printable, doubles_backslashes_so_that_an_escape_cannot_be_forged) {
  EXPECT_EQ(printable(R"(\x0a)"), R"(\\x0a)");
}

} // namespace
} // namespace kvcache::config
