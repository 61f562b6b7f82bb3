#include "metrics/json_writer.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace kvcache::observe {
namespace {

TEST(json_writer, places_commas_between_members_and_nowhere_else) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.begin_object("empty");
  json.end_object();
  json.begin_object("full");
  json.member("a", 1U);
  json.member("b", "x");
  json.end_object();
  json.member("c", 0.5);
  json.end_object();
  EXPECT_EQ(out, R"({"empty":{},"full":{"a":1,"b":"x"},"c":0.5})");
}

TEST(json_writer, writes_the_largest_integers_exactly) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.member("n", std::numeric_limits<std::uint64_t>::max());
  json.end_object();
  EXPECT_EQ(out, R"({"n":18446744073709551615})");
}

TEST(json_writer, writes_null_for_what_is_absent_or_no_number) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.member("a", std::nullopt);
  json.member("b", std::nan(""));
  json.member("c", std::numeric_limits<double>::infinity());
  json.integer_or_null("d", std::nullopt);
  json.integer_or_null("e", 7);
  json.end_object();
  EXPECT_EQ(out, R"({"a":null,"b":null,"c":null,"d":null,"e":7})");
}

TEST(json_writer, tells_yes_and_no_from_numbers) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.member("a", true);
  json.member("b", false);
  json.member("c", 1U);
  json.end_object();
  EXPECT_EQ(out, R"({"a":true,"b":false,"c":1})");
}

TEST(json_writer, makes_valid_json_of_any_bytes) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.member(every_byte, every_byte);
  json.end_object();

  const auto parsed = nlohmann::json::parse(out);
  std::string expected = every_byte.substr(0, 128);
  for (int byte = 128; byte < 256; ++byte) expected += "\xef\xbf\xbd";
  EXPECT_EQ(parsed.begin().key(), expected);
  EXPECT_EQ(parsed.begin().value(), expected);
}

} // namespace
} // namespace kvcache::observe
