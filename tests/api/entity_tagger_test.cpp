#include "api/entity_tagger.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace kvcache::http {

namespace {

TEST(entity_tagger, gives_equal_tags_to_equal_types_and_bytes_only) {
  const entity_tagger tagger;
  const std::uint64_t tag = tagger.tag_of("a/b", "value");
  EXPECT_EQ(tagger.tag_of("a/b", "value"), tag);
  EXPECT_NE(tagger.tag_of("a/c", "value"), tag);
  EXPECT_NE(tagger.tag_of("a/b", "valuf"), tag);
  EXPECT_NE(tagger.tag_of("a/bv", "alue"), tag);
  EXPECT_NE(tagger.tag_of("value", "a/b"), tag);
  EXPECT_NE(tagger.tag_of("a/b", ""), tagger.tag_of("a/b", std::string_view{"\0", 1}));
}

TEST(entity_tagger, gives_other_tags_than_another_process_would) {
  EXPECT_NE(entity_tagger{}.tag_of("a/b", "value"), entity_tagger{}.tag_of("a/b", "value"));
}

TEST(tag_stream, gives_the_tag_of_the_whole_however_it_is_split) {
  const entity_tagger tagger;
  std::string value;
  for (int i = 0; value.size() < 5'000; ++i) value += std::to_string(i);
  for (const std::size_t bytes :
       {0UL, 1UL, 16UL, 17UL, 128UL, 129UL, 240UL, 241UL, 1024UL, 5'000UL}) {
    const std::string_view whole = std::string_view{value}.substr(0, bytes);
    for (const std::size_t step : {1UL, 7UL, 64UL, 1'000UL, 10'000UL}) {
      tag_stream stream{tagger};
      for (std::size_t at = 0; at < whole.size(); at += step) stream.add(whole.substr(at, step));
      EXPECT_EQ(stream.tag("a/b"), tagger.tag_of("a/b", whole)) << bytes << " by " << step;
    }
  }
}

TEST(tag_text, shows_a_tag_as_sixteen_hexadecimal_digits_in_quotes) {
  EXPECT_EQ(tag_text{0}.view(), "\"0000000000000000\"");
  EXPECT_EQ(tag_text{0x0123'4567'89AB'CDEF}.view(), "\"0123456789abcdef\"");
  EXPECT_EQ(tag_text{UINT64_MAX}.view(), "\"ffffffffffffffff\"");
}

} // namespace

} // namespace kvcache::http
