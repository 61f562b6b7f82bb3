// The body of POST /batch: what it may hold, and each refusal with its place.
#include "api/batch_body.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace kvcache::http {
namespace {

using namespace std::chrono_literals;

http_limits small_limits() {
  http_limits limits;
  limits.max_batch_ops = 4;
  limits.max_key_chars = 8;
  limits.max_value_chars = 10;
  limits.max_value_bytes = 6;
  return limits;
}

std::string in_ops(std::string_view operation) {
  return R"({"ops":[)" + std::string{operation} + "]}";
}

std::string escaped_name(std::string body) {
  body.replace(body.find("ops"), 3, "o\\u0070s"); // only the careful reader takes it
  return body;
}

TEST(batch_body, holds_what_each_kind_of_operation_takes) {
  const std::string text = R"({"ops":[
    {"op":"get","key":"a"},
    {"op":"put","key":"b","value":"v","ttl":60,"if":"absent"},
    {"op":"put","key":"b","value_base64":"AAEC","if":"present"},
    {"op":"put","key":"b","value":"v","if_value":""},
    {"op":"delete","key":"c","if_value":"w"},
    {"op":"delete","key":"c"},
    {"op":"incr","key":"n","by":-3,"initial":0,"ttl":1},
    {"op":"incr","key":"n"},
    {"op":"touch","key":"s","ttl":60},
    {"op":"touch","key":"s"}]})";
  for (const std::string& body : {text, escaped_name(text)}) {
    batch_body read;
    ASSERT_FALSE(parse_batch_body(body, http_limits{}, read)) << read.place;
    ASSERT_EQ(read.ops.size(), 10U);
    const auto& ops = read.ops;
    EXPECT_EQ(ops[0], (batch_operation{.op = batch_op::get, .key = "a"}));
    EXPECT_EQ(ops[1], (batch_operation{.op = batch_op::put,
                                       .if_state = write_condition::absent,
                                       .key = "b",
                                       .value = "v",
                                       .ttl = 60s}));
    EXPECT_EQ(ops[2], (batch_operation{.op = batch_op::put,
                                       .if_state = write_condition::present,
                                       .is_base64 = true,
                                       .key = "b",
                                       .value = std::string_view{"\0\1\2", 3}}));
    EXPECT_EQ(ops[3],
              (batch_operation{.op = batch_op::put, .key = "b", .value = "v", .if_value = ""}));
    EXPECT_EQ(ops[4], (batch_operation{.op = batch_op::erase, .key = "c", .if_value = "w"}));
    EXPECT_EQ(ops[5], (batch_operation{.op = batch_op::erase, .key = "c"}));
    EXPECT_EQ(ops[6], (batch_operation{
                          .op = batch_op::incr, .key = "n", .ttl = 1s, .by = -3, .initial = 0}));
    EXPECT_EQ(ops[7], (batch_operation{.op = batch_op::incr, .key = "n"}));
    EXPECT_EQ(ops[8], (batch_operation{.op = batch_op::touch, .key = "s", .ttl = 60s}));
    EXPECT_EQ(ops[9], (batch_operation{.op = batch_op::touch, .key = "s"}));
  }
}

TEST(batch_body, ignores_unknown_members_beside_the_operations) {
  for (const std::string_view text :
       {R"({"ops":[]})", R"({"x":1,"ops":[]})", R"({"ops":[],"x":{"ops":[1],"y":[[{"op":2}]]}})",
        R"({"x":1e999,"ops":[]})", R"({"x":[{"ops":3}],"ops" : [ ] })"}) {
    batch_body read;
    EXPECT_FALSE(parse_batch_body(text, http_limits{}, read)) << text;
    EXPECT_TRUE(read.ops.empty());
  }
}

TEST(batch_body, takes_whole_numbers_of_64_bits_however_they_are_spelled) {
  const std::pair<std::string_view, std::int64_t> spellings[] = {
      {"0", 0},
      {"-0", 0},
      {"1.0", 1},
      {"-25e1", -250},
      {"1200e-2", 12},
      {"0e99", 0},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"9.223372036854775807e18", INT64_MAX},
      {"9223372036854775807.0", INT64_MAX},
      {"1000000000", 1'000'000'000}};
  for (const auto& [text, number] : spellings) {
    batch_body read;
    const std::string body = in_ops(R"({"op":"incr","key":"n","by":)" + std::string{text} +
                                    R"(,"initial":)" + std::string{text} + "}");
    ASSERT_FALSE(parse_batch_body(body, http_limits{}, read)) << text;
    EXPECT_EQ(read.ops[0].by, number) << text;
    EXPECT_EQ(read.ops[0].initial, number) << text;
  }
}

struct refused {
  std::string_view body;
  fault why;
  std::string_view place; // empty: of the body as a whole
};

constexpr refused refusals[] = {
    {"", fault::empty_body, ""},
    {"  ", fault::empty_body, ""},
    {"\xEF\xBB\xBF{\"ops\":[]}", fault::byte_order_mark, ""},
    {R"({"ops":[)", fault::invalid_json, ""},
    {R"({"ops":[]}x)", fault::invalid_json, ""},
    {R"({"ops":[{"op":"get","key":"a"},]})", fault::invalid_json, ""},
    {"[]", fault::not_an_object, ""},
    {"1", fault::not_an_object, ""},
    {R"("ops")", fault::not_an_object, ""},
    {"{}", fault::missing_ops_member, ""},
    {R"({"op":[]})", fault::missing_ops_member, ""},
    {R"({"ops":{}})", fault::ops_not_an_array, ""},
    {R"({"ops":null})", fault::ops_not_an_array, ""},
    {R"({"ops":"get"})", fault::ops_not_an_array, ""},
    {R"({"ops":[],"ops":[]})", fault::repeated_ops_member, ""},
    {R"({"ops":[1]})", fault::operation_not_an_object, "ops[0]"},
    {R"({"ops":[{"op":"get","key":"a"},[]]})", fault::operation_not_an_object, "ops[1]"},
    {R"({"ops":[{"op":"get","key":"a"},null]})", fault::operation_not_an_object, "ops[1]"},
    {R"({"ops":[{}]})", fault::missing_member, "ops[0].op"},
    {R"({"ops":[{"key":"a"}]})", fault::missing_member, "ops[0].op"},
    {R"({"ops":[{"op":"get"}]})", fault::missing_member, "ops[0].key"},
    {R"({"ops":[{"op":"put","key":"a"}]})", fault::missing_member, "ops[0].value"},
    {R"({"ops":[{"op":"GET","key":"a"}]})", fault::unknown_op, "ops[0].op"},
    {R"({"ops":[{"op":"","key":"a"}]})", fault::unknown_op, "ops[0].op"},
    {R"({"ops":[{"op":1,"key":"a"}]})", fault::not_a_string, "ops[0].op"},
    {R"({"ops":[{"op":"get","key":1}]})", fault::not_a_string, "ops[0].key"},
    {R"({"ops":[{"op":"get","key":["a"]}]})", fault::not_a_string, "ops[0].key"},
    {R"({"ops":[{"op":"get","key":{"a":1}}]})", fault::not_a_string, "ops[0].key"},
    {R"({"ops":[{"op":"get","key":""}]})", fault::empty_key, "ops[0].key"},
    {R"({"ops":[{"op":"get","key":"123456789"}]})", fault::key_or_value_too_long, "ops[0].key"},
    {R"({"ops":[{"op":"get","key":"a","key":"a"}]})", fault::repeated_member, "ops[0].key"},
    {R"({"ops":[{"op":"get","op":"get","key":"a"}]})", fault::repeated_member, "ops[0].op"},
    {R"({"ops":[{"op":"get","key":"a","tll":1}]})", fault::unknown_member, "ops[0].tll"},
    {R"({"ops":[{"op":"get","key":"a","x":{"op":1}}]})", fault::unknown_member, "ops[0].x"},
    {R"({"ops":[{"op":"get","key":"a","ttl":1}]})", fault::surplus_member, "ops[0].ttl"},
    {R"({"ops":[{"op":"get","key":"a","value":"v"}]})", fault::surplus_member, "ops[0].value"},
    {R"({"ops":[{"op":"delete","key":"a","if":"absent"}]})", fault::surplus_member, "ops[0].if"},
    {R"({"ops":[{"op":"delete","key":"a","ttl":1}]})", fault::surplus_member, "ops[0].ttl"},
    {R"({"ops":[{"op":"incr","key":"a","value":"1"}]})", fault::surplus_member, "ops[0].value"},
    {R"({"ops":[{"op":"touch","key":"a","by":1}]})", fault::surplus_member, "ops[0].by"},
    {R"({"ops":[{"op":"touch","key":"a","if_value":"1"}]})", fault::surplus_member,
     "ops[0].if_value"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","by":1}]})", fault::surplus_member, "ops[0].by"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":0}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":1.5}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":"1"}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":-1}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":1e999}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":315360001}]})", fault::bad_ttl,
     "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","ttl":null}]})", fault::bad_ttl, "ops[0].ttl"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","if":"Absent"}]})", fault::bad_write_condition,
     "ops[0].if"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","if":true}]})", fault::not_a_string, "ops[0].if"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","if":"absent","if_value":"w"}]})",
     fault::two_conditions, "ops[0].if_value"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","value_base64":""}]})", fault::two_values,
     "ops[0].value_base64"},
    {R"({"ops":[{"op":"put","key":"a","value":"12345678901"}]})", fault::key_or_value_too_long,
     "ops[0].value"},
    {R"({"ops":[{"op":"put","key":"a","value":"v","if_value":"12345678901"}]})",
     fault::key_or_value_too_long, "ops[0].if_value"},
    {R"({"ops":[{"op":"put","key":"a","value_base64":"AAE"}]})", fault::bad_base64,
     "ops[0].value_base64"},
    {R"({"ops":[{"op":"put","key":"a","value_base64":"AA_="}]})", fault::bad_base64,
     "ops[0].value_base64"},
    {R"({"ops":[{"op":"put","key":"a","value_base64":1}]})", fault::not_a_string,
     "ops[0].value_base64"},
    {R"({"ops":[{"op":"put","key":"a","value_base64":"MTIzNDU2Nw=="}]})",
     fault::base64_value_too_long, "ops[0].value_base64"},
    {R"({"ops":[{"op":"incr","key":"a","by":1.5}]})", fault::not_an_integer, "ops[0].by"},
    {R"({"ops":[{"op":"incr","key":"a","by":"1"}]})", fault::not_an_integer, "ops[0].by"},
    {R"({"ops":[{"op":"incr","key":"a","by":9223372036854775808}]})", fault::not_an_integer,
     "ops[0].by"},
    {R"({"ops":[{"op":"incr","key":"a","by":-9223372036854775809}]})", fault::not_an_integer,
     "ops[0].by"},
    {R"({"ops":[{"op":"incr","key":"a","by":1e999}]})", fault::not_an_integer, "ops[0].by"},
    {R"({"ops":[{"op":"incr","key":"a","initial":null}]})", fault::not_an_integer,
     "ops[0].initial"},
    {R"({"ops":[{"op":"incr","key":"a","initial":[1]}]})", fault::not_an_integer, "ops[0].initial"},
    {R"({"ops":[{"op":"get","key":"a"},{"op":"get","key":"a"},{"op":"get","key":"a"},)"
     R"({"op":"touch","key":"a","ttl":0}]})",
     fault::bad_ttl, "ops[3].ttl"},
    {R"({"ops":[{"op":"get","key":"a"},{"op":"get","key":"a"},{"op":"get","key":"a"},)"
     R"({"op":"get","key":"a"},{"op":"get","key":"a"}]})",
     fault::too_many_operations, ""},
};

TEST(batch_body, is_refused_as_a_whole_with_the_place_of_the_first_fault) {
  for (const refused& each : refusals) {
    batch_body read;
    const refusal why = parse_batch_body(each.body, small_limits(), read);
    EXPECT_EQ(name_of(why.code), name_of(each.why)) << each.body;
    EXPECT_EQ(why.name, each.place) << each.body;
  }
}

TEST(batch_body, shows_the_start_of_an_unknown_member_however_long) {
  batch_body read;
  const refusal why =
      parse_batch_body(in_ops(R"({")" + std::string(100'000, 'x') + R"(":1})"), {}, read);
  EXPECT_EQ(why.code, fault::unknown_member);
  EXPECT_LT(why.name.size(), 100U);
}

// ---- both readers -----------------------------------------------------------------------

std::uint64_t first_seed() {
  const char* const given = std::getenv("KVCACHE_TEST_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

std::string mutated(std::uint64_t seed) {
  static const std::vector<std::string> pieces{"\"",
                                               "\\",
                                               "{",
                                               "}",
                                               "[",
                                               "]",
                                               ":",
                                               ",",
                                               " ",
                                               "\"op\":",
                                               "\"get\"",
                                               "\"put\"",
                                               "\"key\":",
                                               "\"value\":\"v\"",
                                               "\"ttl\":6",
                                               ",\"by\":1",
                                               "\"if\":\"absent\"",
                                               "\"if_value\":\"\"",
                                               "-",
                                               "0",
                                               "1e1",
                                               "\\u0041",
                                               "\xC3\xA4",
                                               "\xC3",
                                               "{\"op\":\"get\",\"key\":\"k\"}",
                                               "null",
                                               "\"value_base64\":\"AA==\""};
  std::mt19937_64 random{seed};
  const auto below = [&](std::size_t most) { return static_cast<std::size_t>(random() % most); };
  std::string text =
      R"({"ops":[{"op":"get","key":"a"},{"op":"put","key":"b","value":"v","ttl":60,"if":"absent"},)"
      R"({"op":"incr","key":"n","by":-1,"initial":0},{"op":"delete","key":"c","if_value":"x"}]})";
  for (std::size_t changes = below(4); changes != 0; --changes) {
    const std::size_t at = below(text.size());
    const std::size_t length = below(3) == 0 ? below(8) : 0;
    text.replace(at, length, below(2) == 0 ? pieces[below(pieces.size())] : std::string{});
    if (text.empty()) text = "{";
  }
  return text;
}

TEST(batch_body_readers, agree_about_whatever_the_fast_one_takes) {
  std::size_t taken = 0;
  constexpr std::uint64_t rounds = 30'000;
  for (std::uint64_t seed = first_seed(), end = seed + rounds; seed < end; ++seed) {
    const std::string text = mutated(seed);
    batch_body plain;
    batch_body careful;
    if (!detail::read_plain_batch_body(text, small_limits(), plain)) continue;
    ++taken;
    ASSERT_FALSE(detail::read_any_batch_body(text, small_limits(), careful))
        << "seed " << seed << ": " << text;
    ASSERT_TRUE(plain.ops == careful.ops) << "seed " << seed << ": " << text;
  }
  EXPECT_GT(taken, rounds / 10);
}

} // namespace
} // namespace kvcache::http
