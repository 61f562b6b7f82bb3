#include "config/host_name.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::config {
namespace {

using namespace std::string_view_literals;

TEST(host_name, is_a_name_or_address_as_in_a_host_field) {
  for (const auto text :
       {"localhost"sv, "cache.example"sv, "Cache-1.Example"sv, "key_value"sv, "localhost."sv,
        "127.0.0.1"sv, "[::1]"sv, "[2001:DB8::7]"sv, "[::ffff:10.0.0.1]"sv})
    EXPECT_TRUE(is_host_name(text)) << text;
}

TEST(host_name, rejects_port_scheme_path_and_user) {
  for (const auto text : {"localhost:7171"sv, "localhost:"sv, "[::1]:7171"sv, "http://localhost"sv,
                          "localhost/"sv, "me@localhost"sv})
    EXPECT_FALSE(is_host_name(text)) << text;
}

TEST(host_name, rejects_patterns) {
  for (const auto text : {"*"sv, "*.example"sv, ".example"sv, "cache.*"sv})
    EXPECT_FALSE(is_host_name(text)) << text;
}

TEST(host_name, accepts_an_ipv6_address_in_brackets_only) {
  for (const auto text : {"::1"sv, "[::1"sv, "::1]"sv, "[]"sv, "["sv, "]"sv, "[localhost]"sv,
                          "[127.0.0.1]"sv, "[::1]]"sv, "[::1%25eth0]"sv, "[::1\0]"sv})
    EXPECT_FALSE(is_host_name(text)) << text;
  EXPECT_FALSE(is_host_name("[" + std::string(100, '0') + "]"));
}

TEST(host_name, rejects_empty_labels_blanks_and_non_ascii) {
  for (const auto text :
       {""sv, "."sv, "a..b"sv, "a b"sv, " a"sv, "a\t"sv, "caf\xc3\xa9"sv, "a\0"sv, "a%41"sv})
    EXPECT_FALSE(is_host_name(text)) << text;
}

} // namespace
} // namespace kvcache::config
