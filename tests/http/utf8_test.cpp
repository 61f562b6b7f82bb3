#include "http/utf8.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvcache::http::utf8 {
namespace {

// An independent definition to compare with: what the encoding of each code point is.
std::string encode(unsigned code_point) {
  const auto byte = [](unsigned value) { return static_cast<char>(value); };
  std::string out;
  if (code_point < 0x80) {
    out += byte(code_point);
  } else if (code_point < 0x800) {
    out += byte(0xC0 | code_point >> 6);
    out += byte(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    out += byte(0xE0 | code_point >> 12);
    out += byte(0x80 | (code_point >> 6 & 0x3F));
    out += byte(0x80 | (code_point & 0x3F));
  } else {
    out += byte(0xF0 | code_point >> 18);
    out += byte(0x80 | (code_point >> 12 & 0x3F));
    out += byte(0x80 | (code_point >> 6 & 0x3F));
    out += byte(0x80 | (code_point & 0x3F));
  }
  return out;
}

TEST(utf8, accepts_every_code_point_but_the_surrogates) {
  for (unsigned code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    ASSERT_EQ(is_valid(encode(code_point)), !surrogate) << code_point;
  }
}

TEST(utf8,
     refuses_every_two_byte_sequence_that_is_no_code_point) { // Unicode table 3-7, rows 1 and 2
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      const bool ascii = first < 0x80 && second < 0x80;
      const bool pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      ASSERT_EQ(is_valid(text), ascii || pair) << first << ' ' << second;
    }
  }
}

TEST(utf8, refuses_sequences_next_to_each_row_of_the_table) { // Unicode table 3-7
  for (const std::string text : {"\xE0\x9F\xBF",
                                 "\xE0\x80\x80",
                                 "\xED\xA0\x80",
                                 "\xED\xBF\xBF",
                                 "\xF0\x8F\xBF\xBF",
                                 "\xF4\x90\x80\x80",
                                 "\xF5\x80\x80\x80",
                                 "\xC0\x80",
                                 "\xC1\xBF",
                                 "\xE1\x80",
                                 "\xE1\x80\x7F",
                                 "\xE1\x7F\x80",
                                 "\xF1\x80\x80",
                                 "\xF1\x80\x80\xC0",
                                 "\xF1\x80\x7F\x80",
                                 "\x80",
                                 "\xBF",
                                 "\xFE",
                                 "\xFF",
                                 "\xF8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(is_valid(text)) << testing::PrintToString(text);
  }
  for (const std::string text : {"\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80",
                                 "\xF4\x8F\xBF\xBF", "\xC2\x80", "\xDF\xBF"}) {
    EXPECT_TRUE(is_valid(text)) << testing::PrintToString(text);
  }
}

TEST(utf8, finds_the_first_bad_byte_at_every_offset) {
  for (std::size_t offset = 0; offset < 40; ++offset) {
    const std::string text = std::string(offset, 'a') + "\xFF" + std::string(40, 'b');
    EXPECT_EQ(valid_prefix(text), offset);
  }
  EXPECT_EQ(valid_prefix("ab\xE2\x82"), 2U); // cut off: the sequence's first byte
  EXPECT_EQ(valid_prefix(""), 0U);
}

TEST(utf8, counts_code_points_not_bytes) {
  EXPECT_EQ(count_chars(""), 0U);
  EXPECT_EQ(count_chars("abc"), 3U);
  EXPECT_EQ(count_chars("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), 3U);
  for (std::size_t n = 0; n < 30; ++n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += encode(0x1F600) + "x" + encode(0xE4);
    EXPECT_EQ(count_chars(text), 3 * n);
  }
}

TEST(utf8, measures_against_a_limit_in_characters) {
  std::string text;
  for (int i = 0; i < 256; ++i) text += encode(0x1F600);
  EXPECT_FALSE(longer_than(text, 256));
  EXPECT_TRUE(longer_than(text + "a", 256));
  EXPECT_TRUE(longer_than(std::string(257, 'a'), 256));
  EXPECT_FALSE(longer_than(std::string(256, 'a'), 256));
}

} // namespace
} // namespace kvcache::http::utf8
