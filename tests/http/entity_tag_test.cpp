// If-None-Match: RFC 9110 §8.8.3, §13.1.2.
#include "http/entity_tag.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

constexpr std::string_view tag = "\"abc\"";

TEST(entity_tag, is_named_by_a_list_that_contains_it) {
  for (const char* list :
       {"\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "\"abc\",\"x\"", " , \"x\" ,\t\"abc\" , ",
        "\"x,y\", \"abc\"", "\"\", W/\"\", \"abc\"", "\"a!#~\xE4\", \"abc\"", "*", " * "})
    EXPECT_TRUE(names_entity_tag(list, tag)) << list;
  EXPECT_TRUE(names_entity_tag("\"abc\"", "W/\"abc\"")); // weak comparison
}

TEST(entity_tag, is_not_named_by_any_other_list) {
  for (const char* list :
       {"", " ", ",", "\"ab\"", "\"abcd\"", "\"ABC\"", "\"x\", W/\"y\"", "\"x, abc\""})
    EXPECT_FALSE(names_entity_tag(list, tag)) << list;
  EXPECT_FALSE(names_entity_tag({}, tag));
}

TEST(entity_tag, is_not_named_by_a_malformed_list) {
  for (const char* list : {"abc", "'abc'", "\"abc", "abc\"", "\"abc\" \"x\"", "\"abc\"x",
                           "\"abc\", x", "w/\"abc\"", "W/ \"abc\"", "W/", "W/abc", "*, \"abc\"",
                           "\"abc\", *", "\"abc\";q=1", "\"abc\", \"\x7f\"", "\"abc\", \"a\tb\""})
    EXPECT_FALSE(names_entity_tag(list, tag)) << list;
}

} // namespace
} // namespace kvcache::http
