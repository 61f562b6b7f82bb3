// Content-Type: RFC 9110 §5.6.2, §5.6.4, §8.3.1.
#include "http/media_type.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

TEST(media_type, is_a_type_and_a_subtype_with_parameters) {
  for (const char* text : {"text/plain", "text/plain;charset=utf-8", "text/plain; charset=utf-8",
                           "text/html ;\tq=\"a;b\"", "application/vnd.api+json", "a/b;", "a/b;;c=d",
                           "a/b ; ; c=\"\"", "a/b;c=\"\\\"\"", " a/b ", "X!#$%&'*+-.^_`|~/9"}) {
    EXPECT_TRUE(is_media_type(text)) << text;
  }
}

TEST(media_type, is_nothing_else) {
  for (const char* text : {"",
                           " ",
                           "text",
                           "text/",
                           "/plain",
                           "text /plain",
                           "text/ plain",
                           "text/plain charset=utf-8",
                           "text/plain, text/html",
                           "text/plain;charset",
                           "text/plain;charset=",
                           "text/plain;=utf-8",
                           "text/plain;charset =utf-8",
                           "text/plain;charset= utf-8",
                           "a/b;c=\"d",
                           "a/b;c=\"\\",
                           "a/b;c=d e",
                           "a/b/c",
                           "a/b;c=\"d\"e",
                           "t\xC3\xA9xt/plain",
                           "a/b;c=\"\x01\""}) {
    EXPECT_FALSE(is_media_type(text)) << text;
  }
}

TEST(media_type, has_its_essence_in_any_case_and_with_any_parameters) {
  constexpr std::string_view form = "application/x-www-form-urlencoded";
  EXPECT_TRUE(has_essence("application/x-www-form-urlencoded", form));
  EXPECT_TRUE(has_essence(" Application/X-WWW-Form-URLencoded ; charset=UTF-8", form));
  EXPECT_FALSE(has_essence("application/x-www-form-urlencoded2", form));
  EXPECT_FALSE(has_essence("text/plain; a=application/x-www-form-urlencoded", form));
}

} // namespace
} // namespace kvcache::http
