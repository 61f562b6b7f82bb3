#include "memory/text.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace kvcache::text {
namespace {

TEST(text, returns_pieces_up_to_the_separator_including_empty_ones) {
  std::string_view rest = "a,,b";
  EXPECT_EQ(take_until(rest, ','), "a");
  EXPECT_EQ(take_until(rest, ','), "");
  EXPECT_EQ(take_until(rest, ','), "b");
  EXPECT_EQ(take_until(rest, ','), std::nullopt);
}

TEST(text, reads_whole_numbers_with_blanks_around_them) {
  EXPECT_EQ(parse_unsigned("0"), 0U);
  EXPECT_EQ(parse_unsigned(" 1073741824\n"), 1073741824U);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), UINT64_MAX);
}

TEST(text, refuses_what_is_not_a_whole_number) {
  for (const char* bad : {"", " ", "\n", "max", "-1", "+1", "1 2", "1.5", "12kB", "0x10",
                          "18446744073709551616", "99999999999999999999999999"}) {
    EXPECT_EQ(parse_unsigned(bad), std::nullopt) << '"' << bad << '"';
  }
}

TEST(text, finds_a_statistic_by_its_whole_name_only) {
  const std::string_view stat = "total_inactive_file 7\ninactive_file_x 8\ninactive_file 9\n";
  EXPECT_EQ(find_stat(stat, "inactive_file"), 9U);
  EXPECT_EQ(find_stat(stat, "file"), std::nullopt);
  EXPECT_EQ(find_stat("inactive_file", "inactive_file"), std::nullopt);
  EXPECT_EQ(find_stat("inactive_file many\n", "inactive_file"), std::nullopt);
}

TEST(text, reads_kib_as_bytes_and_wants_the_unit) {
  EXPECT_EQ(find_kib("MemTotal:        2048 kB\n", "MemTotal"), 2048U * 1024U);
  EXPECT_EQ(find_kib("MemTotalX: 1 kB\nMemTotal: 2 kB", "MemTotal"), 2048U);
  EXPECT_EQ(find_kib("MemTotal: 2048\n", "MemTotal"), std::nullopt);
  EXPECT_EQ(find_kib("MemTotal: 18446744073709551615 kB\n", "MemTotal"), std::nullopt);
  EXPECT_EQ(find_kib("MemTotal:", "MemTotal"), std::nullopt);
}

TEST(text, arithmetic_stops_at_the_ends_of_the_range) {
  EXPECT_EQ(saturating_subtract(3, 5), 0U);
  EXPECT_EQ(saturating_subtract(5, 3), 2U);
  EXPECT_EQ(saturating_add(UINT64_MAX, 1), UINT64_MAX);
  EXPECT_EQ(saturating_add(UINT64_MAX - 1, 1), UINT64_MAX);
}

TEST(text, survives_any_bytes) {
  std::mt19937 random(4711); // NOLINT(bugprone-random-generator-seed): repeatable on purpose
  const std::string_view alphabet("MemTotal: 019kB\n\t\0\xff-", 20);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = alphabet[random() % alphabet.size()];
    if (const auto number = parse_unsigned(bytes)) {
      EXPECT_EQ(parse_unsigned(std::to_string(*number)), number);
    }
    EXPECT_LE(find_kib(bytes, "Mem").value_or(0), UINT64_MAX / 1024 * 1024);
    EXPECT_LE(trim(bytes).size(), bytes.size());
  }
}

} // namespace
} // namespace kvcache::text
