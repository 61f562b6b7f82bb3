// Bearer tokens: RFC 6750 §2.1, in the field of RFC 9110 §11.6.2.
#include "api/token_authorizer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvcache::http {
namespace {

permission check(const token_authorizer& tokens, std::string_view authorization) {
  return token_view{&tokens}.check(authorization);
}

TEST(token_authorizer, grants_the_permission_of_the_token) { // RFC 6750 §2.1
  const token_authorizer tokens{{{"reader", permission::read}, {"writer", permission::write}}};
  EXPECT_EQ(check(tokens, "Bearer reader"), permission::read);
  EXPECT_EQ(check(tokens, "Bearer writer"), permission::write);
}

// RFC 9110 §11.1: the scheme's case does not matter; §11.4: spaces behind it.
TEST(token_authorizer, accepts_the_scheme_in_any_case_and_blanks_around_the_token) {
  const token_authorizer tokens{{{"reader", permission::read}}};
  EXPECT_EQ(check(tokens, "bearer reader"), permission::read);
  EXPECT_EQ(check(tokens, "BEARER  reader "), permission::read);
}

TEST(token_authorizer, grants_nothing_for_an_unknown_token) { // RFC 6750 §3.1: invalid_token
  const token_authorizer tokens{{{"reader", permission::read}}};
  for (const std::string_view wrong :
       {"", "reader", "Bearer", "Bearer ", "Bearer reade", "Bearer readerx", "Bearer Reader",
        "Basic reader", "Bearerreader"})
    EXPECT_EQ(check(tokens, wrong), permission::none) << wrong;
}

TEST(token_authorizer, grants_the_greater_permission_of_a_token_listed_twice) {
  const token_authorizer tokens{{{"t", permission::write}, {"t", permission::read}}};
  EXPECT_EQ(check(tokens, "Bearer t"), permission::write);
}

TEST(token_authorizer, refuses_the_old_tokens_when_it_gets_new_ones) {
  token_authorizer tokens{{{"old", permission::write}}};
  tokens.set_tokens({{"new", permission::read}});
  EXPECT_EQ(check(tokens, "Bearer old"), permission::none);
  EXPECT_EQ(check(tokens, "Bearer new"), permission::read);
}

TEST(token_authorizer, provides_new_tokens_to_views_that_have_used_the_old_ones) {
  token_authorizer tokens{{{"old", permission::write}}};
  token_view view{&tokens};
  EXPECT_EQ(view.check("Bearer old"), permission::write);
  const std::uint64_t before = view.generation();
  EXPECT_EQ(view.generation(), before);
  tokens.set_tokens({{"new", permission::read}});
  EXPECT_NE(view.generation(), before);
  EXPECT_EQ(view.check("Bearer old"), permission::none);
  EXPECT_EQ(view.check("Bearer new"), permission::read);
}

TEST(token_authorizer, grants_alternating_tokens_each_its_own_permission) {
  const token_authorizer tokens{{{"reader", permission::read}, {"writer", permission::write}}};
  token_view view{&tokens};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(view.check("Bearer reader"), permission::read);
    EXPECT_EQ(view.check("Bearer readex"), permission::none);
    EXPECT_EQ(view.check("Bearer writer"), permission::write);
    EXPECT_EQ(view.check(""), permission::none);
  }
}

TEST(token_authorizer, requires_none_if_there_are_none) {
  const token_view view{nullptr};
  EXPECT_FALSE(view.asks_for_tokens());
  EXPECT_EQ(view.generation(), 0U);
}

TEST(token_authorizer, distinguishes_thousands_of_tokens) {
  std::vector<access_token> list;
  const auto secret = [](int number) { return "token-" + std::to_string(number); };
  for (int i = 0; i < 5000; ++i)
    list.push_back({secret(i), i % 2 == 0 ? permission::read : permission::write});
  const token_authorizer tokens{list};
  for (int i = 0; i < 5000; ++i)
    ASSERT_EQ(check(tokens, "Bearer " + secret(i)), list[static_cast<std::size_t>(i)].grants) << i;
  for (int i = 5000; i < 10000; ++i)
    ASSERT_EQ(check(tokens, "Bearer " + secret(i)), permission::none) << i;
}

TEST(token_authorizer, compares_whole_texts) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  const std::string text = "0123456789abcdefghijk";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    const std::string whole = text.substr(0, size);
    EXPECT_TRUE(equal_in_constant_time(whole, std::string(whole)));
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = whole;
      other[i] = static_cast<char>(other[i] ^ 0x40);
      EXPECT_FALSE(equal_in_constant_time(whole, other)) << size << ' ' << i;
    }
  }
}

} // namespace
} // namespace kvcache::http
