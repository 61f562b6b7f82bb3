#include "http/authority.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

TEST(authority, is_a_host_with_an_optional_port) {
  for (const std::string_view text :
       {"a", "a.example:80", "127.0.0.1", "[::1]", "[::1]:7171", "a:", "a:65535", "%61-b",
        "a-host-name-longer-than-a-word:1", "a_b~!$&'()*+,;=", "long-host-name%C3%A4-with-escape"})
    EXPECT_TRUE(is_authority(text)) << text;
}

TEST(authority, is_refused_if_any_part_is_malformed) {
  for (const std::string_view text :
       {"", ":80", "a b", "a:65536", "a:8o", "a:80:80", "a@b", "%6", "%6g", "longer-than-a-word/x",
        "[::1", "[]", "[g::]", "[::1]x", "[::1]:65536", "[v1.a]", "[fe80::1%25eth0]", "[[::1]]"})
    EXPECT_FALSE(is_authority(text)) << text;
  EXPECT_FALSE(is_authority(std::string_view("[::1\0]", 6)));
}

TEST(authority, names_its_host_without_the_port) {
  EXPECT_EQ(without_port("a:80"), "a");
  EXPECT_EQ(without_port("a"), "a");
  EXPECT_EQ(without_port("[::1]:80"), "[::1]");
  EXPECT_EQ(without_port("[::1]"), "[::1]");
  EXPECT_EQ(without_port(""), "");
}

} // namespace
} // namespace kvcache::http
