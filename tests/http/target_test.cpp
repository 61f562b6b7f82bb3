#include "http/target.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kvcache::http {
namespace {

// The key found, or the fault's name in brackets.
std::string key_in(std::string_view query, const http_limits& limits = {}) {
  std::string scratch;
  std::string_view key;
  const refusal why = find_key(query, limits, scratch, key);
  return why ? "<" + std::string(name_of(why.code)) + ">" : std::string(key);
}

TEST(target, is_split_at_the_first_question_mark) {
  const target_parts parts = split_target("/get?key=a?b");
  EXPECT_EQ(parts.path, "/get");
  EXPECT_EQ(parts.query, "key=a?b");
  EXPECT_EQ(split_target("/get").path, "/get");
  EXPECT_EQ(split_target("/get").query, "");
}

TEST(target, has_the_same_path_whether_it_is_split_or_not) {
  for (const char* target : {"/get?key=a?b", "/get", "", "?key=a", "#", "#?", "/#?", "/get#?key=a",
                             "/get?key=a#b", "/a?#"})
    EXPECT_EQ(path_of(target), split_target(target).path) << target;
}

TEST(target, returns_the_key_of_an_ordinary_query_without_decoding_it) {
  EXPECT_EQ(raw_key("key=a%20b&c=d"), "a%20b&c=d");
  EXPECT_EQ(raw_key("key="), "");
  EXPECT_EQ(raw_key("a=b&key=c"), "");
}

TEST(target, has_the_path_slash_if_it_has_none) { // RFC 9112 §3.2.1
  EXPECT_EQ(split_target("").path, "/");
  EXPECT_EQ(split_target("?key=a").path, "/");
  EXPECT_EQ(split_target("?key=a").query, "key=a");
}

TEST(target, ends_before_a_fragment) { // RFC 9112 §3.2: the fragment is no part of it
  EXPECT_EQ(split_target("/get?key=a#b").query, "key=a");
  EXPECT_EQ(split_target("/get#?key=a").path, "/get");
  EXPECT_EQ(split_target("/get#?key=a").query, "");
}

TEST(query, returns_a_plain_key_as_a_view_into_itself) {
  const std::string query = "key=abc-DEF_1.~!$'()*,;:@/?=";
  std::string scratch;
  std::string_view key;
  ASSERT_FALSE(find_key(query, http_limits{}, scratch, key));
  EXPECT_EQ(key, query.substr(4));
  EXPECT_EQ(key.data(), query.data() + 4);
  EXPECT_TRUE(scratch.empty());
}

TEST(query, decodes_escapes_and_plus) { // RFC 3986 §2.1; HTML's form encoding
  EXPECT_EQ(key_in("key=%61%62"), "ab");
  EXPECT_EQ(key_in("key=a+b%2Bc%2bd"), "a b+c+d");
  EXPECT_EQ(key_in("key=%26%3D%25%23"), "&=%#");
  EXPECT_EQ(key_in("key=%00"), std::string(1, '\0'));
  EXPECT_EQ(key_in("key=%F0%9F%98%80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(key_in("key=\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80"); // as curl sends it
  EXPECT_EQ(key_in("key=%2541"), "%41");                         // once only
  EXPECT_EQ(key_in("%6bey=a"), "a");
}

TEST(query, round_trips_every_byte_that_is_a_character) {
  for (int byte = 0; byte < 0x80; ++byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const std::string escape{'%', digits[static_cast<std::size_t>(byte >> 4)],
                             digits[static_cast<std::size_t>(byte & 15)]};
    EXPECT_EQ(key_in("key=x" + escape), std::string("x") + static_cast<char>(byte));
  }
}

TEST(query, accepts_parameters_in_any_order_and_ignores_others) {
  EXPECT_EQ(key_in("a=1&key=x&b=2"), "x");
  EXPECT_EQ(key_in("key=x&a"), "x");
  EXPECT_EQ(key_in("&&key=x&&"), "x");
  EXPECT_EQ(key_in("keys=1&Key=2&key=x&xkey=3&=4"), "x");
  EXPECT_EQ(key_in("a=%2B%26&key=%78&b=+"), "x");
  EXPECT_EQ(key_in("key=a=b"), "a=b");
}

TEST(query, refuses_a_missing_an_empty_and_a_repeated_key) {
  EXPECT_EQ(key_in(""), "<missing_key_parameter>");
  EXPECT_EQ(key_in("a=b"), "<missing_key_parameter>");
  EXPECT_EQ(key_in("KEY=b"), "<missing_key_parameter>");
  EXPECT_EQ(key_in("key="), "<empty_key>");
  EXPECT_EQ(key_in("key"), "<empty_key>");
  EXPECT_EQ(key_in("key=&a=b"), "<empty_key>");
  EXPECT_EQ(key_in("key=a&key=a"), "<repeated_key_parameter>");
  EXPECT_EQ(key_in("key=a&%6Bey=b"), "<repeated_key_parameter>");
  EXPECT_EQ(key_in("key&key=b"), "<repeated_key_parameter>");
}

TEST(query, refuses_bad_escapes_in_any_parameter) { // RFC 3986 §2.1
  for (const char* bad : {"%", "%4", "%zz", "%4g", "%g4", "%-1", "% 1", "a%", "%u0041", "%%41"}) {
    EXPECT_EQ(key_in(std::string("key=") + bad), "<bad_percent_escape>") << bad;
    EXPECT_EQ(key_in(std::string("key=a&x=") + bad), "<bad_percent_escape>") << bad;
    EXPECT_EQ(key_in(std::string(bad) + "=x&key=a"), "<bad_percent_escape>") << bad;
  }
  EXPECT_EQ(key_in("key=%4&1=b"), "<bad_percent_escape>"); // the escape does not reach over '&'
}

TEST(query, refuses_text_that_is_not_utf8) { // Unicode table 3-7
  for (const char* bad :
       {"%FF", "%C0%80", "%ED%A0%80", "%F4%90%80%80", "%E2%82", "\xFF", "%80", "\xC3"}) {
    EXPECT_EQ(key_in(std::string("key=") + bad), "<query_not_utf8>") << bad;
    EXPECT_EQ(key_in(std::string("key=a&x=") + bad), "<query_not_utf8>") << bad;
  }
  EXPECT_EQ(key_in("a%C3=%A4&key=b"), "<query_not_utf8>"); // no character reaches over '='
}

TEST(query, counts_the_key_in_characters) {
  const auto repeated = [](std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  EXPECT_EQ(key_in("key=" + repeated("%F0%9F%98%80", 256)), repeated("\xF0\x9F\x98\x80", 256));
  EXPECT_EQ(key_in("key=" + repeated("%F0%9F%98%80", 257)), "<key_or_value_too_long>");
  EXPECT_EQ(key_in("key=" + repeated("a", 256)), repeated("a", 256));
  EXPECT_EQ(key_in("key=" + repeated("a", 257)), "<key_or_value_too_long>");
  http_limits limits;
  limits.max_key_chars = 3;
  EXPECT_EQ(key_in("key=abcd", limits), "<key_or_value_too_long>");
}

} // namespace
} // namespace kvcache::http
