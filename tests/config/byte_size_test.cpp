#include "config/byte_size.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace kvcache::config {
namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

TEST(byte_size, parses_plain_bytes) {
  EXPECT_EQ(parse_byte_size("0"), 0U);
  EXPECT_EQ(parse_byte_size("65536"), 65536U);
  EXPECT_EQ(parse_byte_size("10B"), 10U);
  EXPECT_EQ(parse_byte_size("18446744073709551615"), most);
}

TEST(byte_size, parses_units_of_1024_in_every_usual_spelling) {
  for (const char* text : {"512M", "512m", "512MB", "512MiB", "512mib", "512mb", "512Mib"}) {
    EXPECT_EQ(parse_byte_size(text), std::uint64_t{512} << 20) << text;
  }
  EXPECT_EQ(parse_byte_size("3K"), 3072U);
  EXPECT_EQ(parse_byte_size("2G"), std::uint64_t{2} << 30);
  EXPECT_EQ(parse_byte_size("1TiB"), std::uint64_t{1} << 40);
}

TEST(byte_size, rejects_text_that_is_not_a_size) {
  for (const char* text : {"", "M", "-1", "+1", " 1", "1 ", "1 M", "1.5G", "1e3", "0x10", "1MM",
                           "1iB", "1X", "1Mi", "auto", "1MiBs", "1\n"}) {
    EXPECT_EQ(parse_byte_size(text), std::nullopt) << text;
  }
}

TEST(byte_size, rejects_sizes_that_overflow) {
  EXPECT_EQ(parse_byte_size("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_byte_size("16777216T"), std::nullopt);
  EXPECT_EQ(parse_byte_size("18014398509481984K"), std::nullopt);
  EXPECT_EQ(parse_byte_size("16777215T"), most - ((std::uint64_t{1} << 40) - 1));
}

TEST(byte_size, writes_the_largest_unit_that_is_exact) {
  EXPECT_EQ(format_byte_size(0), "0");
  EXPECT_EQ(format_byte_size(1000), "1000");
  EXPECT_EQ(format_byte_size(1536), "1536");
  EXPECT_EQ(format_byte_size(std::uint64_t{1536} << 10), "1536K");
  EXPECT_EQ(format_byte_size(std::uint64_t{2} << 30), "2G");
  EXPECT_EQ(format_byte_size(std::uint64_t{4096} << 40), "4096T");
}

TEST(byte_size, parses_its_own_output) {
  for (const std::uint64_t bytes :
       {std::uint64_t{1}, std::uint64_t{1} << 33, std::uint64_t{12345678}, most}) {
    EXPECT_EQ(parse_byte_size(format_byte_size(bytes)), bytes);
  }
}

} // namespace
} // namespace kvcache::config
