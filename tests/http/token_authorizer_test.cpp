// Bearer tokens: RFC 6750 §2.1, in the field of RFC 9110 §11.6.2.
#include "http/token_authorizer.hpp"

#include <gtest/gtest.h>

namespace kvcache::http {
namespace {

TEST(token_authorizer, grants_what_the_token_is_for) { // RFC 6750 §2.1
  const token_authorizer tokens{{{"reader", permission::read}, {"writer", permission::write}}};
  EXPECT_EQ(tokens.check("Bearer reader"), permission::read);
  EXPECT_EQ(tokens.check("Bearer writer"), permission::write);
}

// RFC 9110 §11.1: the scheme's case does not matter; §11.4: spaces behind it.
TEST(token_authorizer, takes_the_scheme_in_any_case_and_blanks_around_the_token) {
  const token_authorizer tokens{{{"reader", permission::read}}};
  EXPECT_EQ(tokens.check("bearer reader"), permission::read);
  EXPECT_EQ(tokens.check("BEARER  reader "), permission::read);
}

TEST(token_authorizer, grants_nothing_to_what_it_does_not_know) { // RFC 6750 §3.1: invalid_token
  const token_authorizer tokens{{{"reader", permission::read}}};
  for (const std::string_view wrong :
       {"", "reader", "Bearer", "Bearer ", "Bearer reade", "Bearer readerx", "Bearer Reader",
        "Basic reader", "Bearerreader"})
    EXPECT_EQ(tokens.check(wrong), permission::none) << wrong;
}

TEST(token_authorizer, gives_a_token_listed_twice_the_greater_permission) {
  const token_authorizer tokens{{{"t", permission::write}, {"t", permission::read}}};
  EXPECT_EQ(tokens.check("Bearer t"), permission::write);
}

TEST(token_authorizer, forgets_the_old_tokens_when_it_gets_new_ones) {
  token_authorizer tokens{{{"old", permission::write}}};
  tokens.set_tokens({{"new", permission::read}});
  EXPECT_EQ(tokens.check("Bearer old"), permission::none);
  EXPECT_EQ(tokens.check("Bearer new"), permission::read);
}

TEST(token_authorizer, compares_whole_texts) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

} // namespace
} // namespace kvcache::http
