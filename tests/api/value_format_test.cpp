#include "api/value_format.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace kvcache::http {

namespace {

constexpr std::uint64_t tag = 0x0123'4567'89AB'CDEF;

std::string stored(std::string_view bytes, const value_format& format) {
  return std::string{bytes}.append(format.suffix());
}

TEST(value_format, costs_nothing_without_a_type_and_one_byte_with_a_common_one) {
  EXPECT_EQ(value_format(10, "", true, tag).suffix().size(), 0U);
  EXPECT_EQ(value_format(10, "", false, tag).suffix().size(), 0U);
  for (const std::string_view type : {"application/json", "text/html", "image/png", "text/plain",
                                      "application/octet-stream", "text/html; charset=utf-8"})
    EXPECT_EQ(value_format(10, type, true, tag).suffix().size(), 1U) << type;
  EXPECT_EQ(value_format(10, "x/y", true, tag).suffix().size(), 5U);
  EXPECT_EQ(value_format(tagged_above_bytes, "", true, tag).suffix().size(), 0U);
  EXPECT_EQ(value_format(tagged_above_bytes + 1, "", true, tag).suffix().size(), 9U);
}

// Every length around the limits, with types of each kind, as text and not, of bytes that could be
// taken for a trailer.
TEST(value_format, gives_back_what_was_stored) {
  const std::string longest = "a/" + std::string(content_type_bytes_most - 2, 'b');
  for (const std::size_t bytes : {0UL, 1UL, 2UL, 127UL, 128UL, 4095UL, 4096UL, 4097UL, 100'000UL}) {
    for (const char filler : {'\0', '\x01', '\x7f', '\x80', '\xff', 'x'}) {
      for (const std::string_view type :
           {std::string_view{}, std::string_view{"application/json"}, std::string_view{"video/mp4"},
            std::string_view{"x/y"}, std::string_view{"Application/JSON"},
            std::string_view{longest}}) {
        for (const bool is_utf8 : {true, false}) {
          const std::string value(bytes, filler);
          const value_format format{bytes, type, is_utf8, tag};
          ASSERT_LE(format.suffix().size(), value_format::most_suffix_bytes);
          const std::string whole = stored(value, format);
          const stored_value read = read_stored(whole, format.mark());
          ASSERT_EQ(read.bytes, value);
          ASSERT_EQ(read.info.type, type.empty() ? unknown_type : type);
          ASSERT_EQ(read.info.is_utf8, is_utf8);
          ASSERT_EQ(read.info.tag.has_value(), bytes > tagged_above_bytes);
          ASSERT_EQ(read.info.tag.value_or(tag), tag);
        }
      }
    }
  }
}

TEST(value_format, takes_a_value_without_a_mark_for_text) {
  const stored_value read = read_stored("abc", 0);
  EXPECT_EQ(read.bytes, "abc");
  EXPECT_EQ(read.info.type, "text/plain; charset=utf-8");
  EXPECT_TRUE(read.info.is_utf8);
  EXPECT_FALSE(read.info.tag);
}

} // namespace

} // namespace kvcache::http
