#include "api/put_body.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvcache::http {
namespace {

constexpr std::string_view smile = "\xF0\x9F\x98\x80";

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

struct outcome {
  std::string_view why;
  std::size_t at_byte = refusal::nowhere;
  std::string key, value;
  std::optional<std::chrono::seconds> ttl;
};

outcome put(std::string_view text, const http_limits& limits = {}) {
  body_scratch scratch;
  put_body body;
  const refusal refused = parse_put_body(text, limits, scratch, body);
  if (refused) return {name_of(refused.code), refused.at_byte, {}, {}, {}};
  return {"", refusal::nowhere, std::string(body.key), std::string(body.value), body.ttl};
}

std::string deleted_key(std::string_view text) {
  body_scratch scratch;
  std::string_view key;
  const refusal refused = parse_delete_body(text, http_limits{}, scratch, key);
  return refused ? "<" + std::string(name_of(refused.code)) + ">" : std::string(key);
}

// ---- what is accepted ----------------------------------------------------------------

TEST(put_body, returns_views_into_an_ordinary_body) {
  const std::string text = R"({"key":"a","value":"b c"})";
  body_scratch scratch;
  put_body body;
  ASSERT_FALSE(parse_put_body(text, http_limits{}, scratch, body));
  EXPECT_EQ(body.key, "a");
  EXPECT_EQ(body.value, "b c");
  EXPECT_EQ(body.ttl, std::nullopt);
  EXPECT_EQ(body.key.data(), text.data() + 8);
  EXPECT_EQ(scratch.bytes(), body_scratch{}.bytes());
}

TEST(put_body, accepts_spaces_line_ends_and_any_order_of_members) { // RFC 8259 §2, §4
  const outcome got = put("\r\n\t { \"value\" :\n\"b\" , \"key\"\t: \"a\" } \n");
  EXPECT_EQ(got.why, "");
  EXPECT_EQ(got.key, "a");
  EXPECT_EQ(got.value, "b");
}

TEST(put_body, decodes_every_escape) { // RFC 8259 §7
  const outcome got =
      put(R"({"k\u0065y":"\"\\\/\b\f\n\r\t","value":"\u0000\u00e4\u20AC\ud83d\uDE00\u001f"})");
  EXPECT_EQ(got.why, "");
  EXPECT_EQ(got.key, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(got.value, std::string("\0\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\x1f", 11));
}

TEST(put_body, accepts_all_unescaped_characters_that_json_allows) {
  const std::string value = "\x7f /'<>& \xC2\x80 \xE2\x80\xA8 \xEF\xBF\xBF \xF4\x8F\xBF\xBF";
  EXPECT_EQ(put(R"({"key":"a","value":")" + value + "\"}").value, value);
}

TEST(put_body, stores_an_empty_value) { EXPECT_EQ(put(R"({"key":"a","value":""})").why, ""); }

TEST(put_body, ignores_members_it_does_not_know) {
  const outcome got = put(
      R"({"x":{"key":1,"value":[{"key":2}]},"key":"a","KEY":1,"y":[],"value":"b","x":null,"z":-1.5e3})");
  EXPECT_EQ(got.why, "");
  EXPECT_EQ(got.key, "a");
  EXPECT_EQ(got.value, "b");
}

TEST(put_body, does_not_normalise) { // é composed and decomposed are two keys
  EXPECT_EQ(put("{\"key\":\"\xC3\xA9\",\"value\":\"\"}").key, "\xC3\xA9");
  EXPECT_EQ(put("{\"key\":\"e\xCC\x81\",\"value\":\"\"}").key, "e\xCC\x81");
}

// ---- lengths -------------------------------------------------------------------------

TEST(put_body, counts_key_and_value_in_characters) {
  const auto body = [](std::string_view key, std::string_view value) {
    return R"({"key":")" + std::string(key) + R"(","value":")" + std::string(value) + "\"}";
  };
  EXPECT_EQ(put(body(repeated(smile, 256), repeated(smile, 256))).why, "");
  EXPECT_EQ(put(body(repeated("\\uD83D\\uDE00", 256), repeated("\\uD83D\\uDE00", 256))).value,
            repeated(smile, 256));
  EXPECT_EQ(put(body(repeated(smile, 257), "b")).why, "key_or_value_too_long");
  EXPECT_EQ(put(body("a", repeated("\\uD83D\\uDE00", 257))).why, "key_or_value_too_long");
  EXPECT_EQ(put(body("a", repeated("x", 256))).why, "");
  EXPECT_EQ(put(body("a", repeated("x", 257))).why, "key_or_value_too_long");
  EXPECT_EQ(put(body("a", repeated("\\n", 256))).why, "");
  http_limits limits;
  limits.max_key_chars = 2;
  limits.max_value_chars = 5;
  EXPECT_EQ(put(body("ab", "12345"), limits).why, "");
  EXPECT_EQ(put(body("abc", "12345"), limits).why, "key_or_value_too_long");
  EXPECT_EQ(put(body("ab", "123456"), limits).why, "key_or_value_too_long");
}

TEST(put_body, refuses_an_empty_key) {
  EXPECT_EQ(put(R"({"key":"","value":"b"})").why, "empty_key");
}

// ---- members -------------------------------------------------------------------------

TEST(put_body, refuses_missing_members) {
  EXPECT_EQ(put(R"({})").why, "missing_key_member");
  EXPECT_EQ(put(R"({"value":"b"})").why, "missing_key_member");
  EXPECT_EQ(put(R"({"Key":"a","value":"b"})").why, "missing_key_member");
  EXPECT_EQ(put(R"({"key":"a"})").why, "missing_value_member");
  EXPECT_EQ(put(R"({"key":"a","x":{"value":"b"}})").why, "missing_value_member");
}

TEST(put_body, refuses_members_of_other_types) {
  for (const std::string type : {"1", "-1", "1.5", "true", "null", "{}", "[]", "[\"a\"]", "1e3"}) {
    EXPECT_EQ(put(R"({"key":)" + type + R"(,"value":"b"})").why, "key_not_a_string") << type;
    EXPECT_EQ(put(R"({"key":"a","value":)" + type + "}").why, "value_not_a_string") << type;
  }
}

TEST(put_body, refuses_repeated_members_however_they_are_spelled) {
  EXPECT_EQ(put(R"({"key":"a","key":"a","value":"b"})").why, "repeated_key_member");
  EXPECT_EQ(put(R"({"key":"a","k\u0065y":"a","value":"b"})").why, "repeated_key_member");
  EXPECT_EQ(put(R"({"key":"a","value":"b","value":1})").why, "repeated_value_member");
}

TEST(put_body, refuses_text_that_is_not_an_object) {
  for (const char* text :
       {"1", "\"a\"", "[]", "null", "true", "-1", "1.5", R"([{"key":"a","value":"b"}])"})
    EXPECT_EQ(put(text).why, "not_an_object") << text;
}

// ---- ttl -----------------------------------------------------------------------------

TEST(put_body, accepts_a_ttl_in_whole_seconds) {
  using std::chrono::seconds;
  EXPECT_EQ(put(R"({"key":"a","value":"b","ttl":1})").ttl, seconds(1));
  EXPECT_EQ(put(R"({"ttl": 315360000 ,"key":"a","value":"b"})").ttl, seconds(315360000));
  EXPECT_EQ(put(R"({"ttl":60,"key":"\u0061","value":"b"})").ttl, seconds(60)); // the careful reader
}

// JSON Schema's integers, so those of the OpenAPI document: whole numbers, however written.
TEST(put_body, accepts_a_whole_ttl_in_every_spelling) {
  const auto zeros = [](std::size_t count) { return repeated("0", count); };
  for (const auto& [written, seconds] :
       std::vector<std::pair<std::string, int>>{{"60.0", 60},
                                                {"6e1", 60},
                                                {"6E+1", 60},
                                                {"0.6e2", 60},
                                                {"600e-1", 60},
                                                {"60.000e0", 60},
                                                {"60e-0", 60},
                                                {"0.0000060e7", 60},
                                                {"1.0", 1},
                                                {"315360000.0", 315360000},
                                                {"3.1536e8", 315360000},
                                                {"3153600000e-1", 315360000},
                                                {"123456789.000", 123456789},
                                                {"6" + zeros(400) + "e-399", 60},
                                                {"0." + zeros(400) + "6e402", 60},
                                                {"60." + zeros(400), 60},
                                                {"6e" + zeros(400) + "1", 60}})
    EXPECT_EQ(put(R"({"key":"a","value":"b","ttl":)" + written + "}").ttl,
              std::chrono::seconds(seconds))
        << written;
}

TEST(put_body, refuses_every_other_ttl) {
  for (const std::string ttl : {"0",
                                "-0",
                                "0.0",
                                "0e5",
                                "-0.0",
                                "-1",
                                "-60.0",
                                "-6e1",
                                "1.5",
                                "60.5",
                                "6e-1",
                                "0.06e1",
                                "1e-400",
                                "60.0000000000000000000000000000001", // to a double, 60
                                "315360000.00000001",                 // likewise 315360000
                                "315360001",
                                "315360001.0",
                                "3.15360001e8",
                                "1e9",
                                "1e18",
                                "99999999999999999999",
                                "060",
                                "1e308",
                                "1e400",
                                "-1e400",
                                "1e99999999999999999999999",
                                "1e-99999999999999999999999",
                                "\"60\"",
                                "null",
                                "true",
                                "[60]",
                                "{}"})
    EXPECT_EQ(put(R"({"key":"a","value":"b","ttl":)" + ttl + "}").why, "bad_ttl") << ttl;
  EXPECT_EQ(put(R"({"key":"a","value":"b","ttl":+6})").why, "invalid_json");
  EXPECT_EQ(put(R"({"key":"a","value":"b","ttl":6,"ttl":6})").why, "repeated_ttl_member");
}

// ---- JSON itself (RFC 8259) ----------------------------------------------------------

TEST(put_body, refuses_an_empty_body) {
  EXPECT_EQ(put("").why, "empty_body");
  EXPECT_EQ(put(" \r\n\t").why, "empty_body");
}

TEST(put_body, refuses_a_byte_order_mark) { // RFC 8259 §8.1
  EXPECT_EQ(put("\xEF\xBB\xBF{\"key\":\"a\",\"value\":\"b\"}").why, "byte_order_mark");
}

TEST(put_body, refuses_anything_behind_the_object) {
  const std::string good = R"({"key":"a","value":"b"})";
  for (const std::string tail : {"x", "{}", ",", "}", "\"", "1", "//", "\xEF\xBB\xBF"})
    EXPECT_EQ(put(good + tail).why, "invalid_json") << tail;
  EXPECT_EQ(put(good + std::string(1, '\0')).why, "invalid_json");
  EXPECT_EQ(put(good + std::string("\0{}", 3)).why, "invalid_json");
}

TEST(put_body, refuses_text_that_is_not_json) {
  for (const char* text : {"{",
                           "}",
                           "{\"key\":\"a\",\"value\":\"b\"",
                           "{\"key\":\"a\",\"value\":\"b\",}",
                           "{\"key\":\"a\" \"value\":\"b\"}",
                           "{key:\"a\",\"value\":\"b\"}",
                           "{'key':'a','value':'b'}",
                           "{\"key\":\"a\",\"value\":\"b\"/**/}",
                           "{\"key\":\"a\",,\"value\":\"b\"}",
                           "{\"key\"=\"a\",\"value\":\"b\"}",
                           "{\"key\":\"a\\x\",\"value\":\"b\"}",
                           "{\"key\":\"a\\u12G4\",\"value\":\"b\"}",
                           "{\"key\":\"a\\u12\",\"value\":\"b\"}",
                           "{\"x\":01,\"key\":\"a\",\"value\":\"b\"}",
                           "{\"x\":NaN,\"key\":\"a\",\"value\":\"b\"}",
                           "{\"x\":nul,\"key\":\"a\",\"value\":\"b\"}",
                           "\f{\"key\":\"a\",\"value\":\"b\"}",
                           "{\"x\":[1,],\"key\":\"a\",\"value\":\"b\"}",
                           "{\"x\":[1}],\"key\":\"a\",\"value\":\"b\"}",
                           "key=a&value=b"})
    EXPECT_EQ(put(text).why, "invalid_json") << text;
}

TEST(put_body, refuses_raw_control_characters_in_strings) { // RFC 8259 §7
  for (int byte = 0; byte < 0x20; ++byte) {
    std::string text = R"({"key":"a","value":"b?c"})";
    text[text.find('?')] = static_cast<char>(byte);
    EXPECT_EQ(put(text).why, "invalid_json") << byte;
  }
}

TEST(put_body, refuses_lone_surrogates) { // RFC 8259 §8.2
  for (const std::string escape :
       {"\\uD800", "\\uDBFFx", "\\uDC00", "\\uDFFF\\uD800", "\\uD83D\\u0041", "\\uD83D\\uD83D"})
    EXPECT_EQ(put(R"({"key":"a","value":")" + escape + "\"}").why, "invalid_json") << escape;
}

TEST(put_body, refuses_invalid_utf8_in_any_string) { // RFC 8259 §8.1, Unicode table 3-7
  for (const std::string bad : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82",
                                "\x80", "\xF8\x88\x80\x80\x80"}) {
    EXPECT_EQ(put("{\"key\":\"a\",\"value\":\"" + bad + "\"}").why, "invalid_json");
    EXPECT_EQ(put("{\"key\":\"" + bad + "\",\"value\":\"b\"}").why, "invalid_json");
    EXPECT_EQ(put("{\"key\":\"a\",\"value\":\"b\",\"x\":\"" + bad + "\"}").why, "invalid_json");
    EXPECT_EQ(put("{\"key\":\"a\",\"value\":\"b\",\"" + bad + "\":1}").why, "invalid_json");
  }
}

TEST(put_body, ignores_numbers_of_any_size_in_members_it_does_not_know) { // RFC 8259 §6
  for (const std::string& number :
       {std::string("1e400"), std::string("-1e400"), std::string("1E+400"), std::string("1e-400"),
        std::string("9e999999999999999999999"), std::string("-0"), repeated("9", 400),
        "-" + repeated("9", 400) + ".5e-1", repeated("[", 50) + "1e400" + repeated("]", 50),
        std::string(R"([1e400,{"ttl":1e400,"\"1e400":2e400},"1e400\\",-1e401])")}) {
    const outcome got = put(R"({"x":)" + number +
                            R"(,"key":"1e400","value":"\"-1e400","ttl":60,"y":)" + number + "}");
    EXPECT_EQ(got.why, "") << number;
    EXPECT_EQ(got.key, "1e400");
    EXPECT_EQ(got.value, "\"-1e400");
    EXPECT_EQ(got.ttl, std::chrono::seconds(60));
  }
}

TEST(put_body, is_strict_behind_a_number_that_no_double_can_hold) {
  EXPECT_EQ(put(R"({"x":1e400,"key":1e400,"value":"b"})").why, "key_not_a_string");
  EXPECT_EQ(put(R"({"x":1e400,"key":"a","value":"b","key":"a"})").why, "repeated_key_member");
  EXPECT_EQ(put("1e400").why, "not_an_object");
  for (const char* broken :
       {R"({"x":1e400,"key":"a","value":b})", R"({"x":1e400 1,"key":"a"})", R"({"x":1e400,"y":01})",
        R"({"x":1e400,"y":1.})", R"({"x":1e400)", R"({"x":1e400,"y":"1e400)",
        R"({"x":1e400,"y":-})", R"({"x":1e400,"y":1e400e400})"})
    EXPECT_EQ(put(broken).why, "invalid_json") << broken;
  EXPECT_EQ(put(R"({"x":1e400,"key":"a","value":b})").at_byte, 30U);
}

TEST(put_body, reports_the_place_of_a_syntax_error) {
  EXPECT_EQ(put(R"({"key":"a","value":x})").at_byte, 20U);
  EXPECT_EQ(put(std::string("{\0}", 3)).at_byte, 2U);
}

TEST(put_body, accepts_nesting_a_hundred_thousand_levels_deep) {
  http_limits limits;
  limits.body_bytes = std::size_t{1} << 20;
  const std::string open = repeated("[", 100'000);
  const std::string closed = open + repeated("]", 100'000);
  EXPECT_EQ(put(R"({"key":"a","value":"b","x":)" + closed + "}", limits).why, "");
  EXPECT_EQ(put(R"({"key":"a","value":"b","x":)" + open, limits).why, "invalid_json");
  EXPECT_EQ(put(open, limits).why, "not_an_object");
  EXPECT_EQ(put(R"({"key":"a","value":"b","x":)" + repeated(R"({"key":)", 100'000) + "1" +
                    repeated("}", 100'001),
                limits)
                .why,
            "");
}

// ---- DELETE --------------------------------------------------------------------------

TEST(delete_body, returns_the_key) {
  EXPECT_EQ(deleted_key(R"({"key":"a b"})"), "a b");
  EXPECT_EQ(deleted_key(R"({"key":"\u0061"})"), "a");
}

TEST(delete_body, ignores_value_and_ttl_like_any_other_member) {
  EXPECT_EQ(deleted_key(R"({"key":"a","value":"b","ttl":5})"), "a");
  EXPECT_EQ(deleted_key(R"({"value":1,"key":"a","ttl":"x","value":2,"ttl":-1})"), "a");
}

TEST(delete_body, is_as_strict_about_the_key_as_put) {
  EXPECT_EQ(deleted_key(R"({})"), "<missing_key_member>");
  EXPECT_EQ(deleted_key(R"({"key":""})"), "<empty_key>");
  EXPECT_EQ(deleted_key(R"({"key":1})"), "<key_not_a_string>");
  EXPECT_EQ(deleted_key(R"({"key":"a","key":"b"})"), "<repeated_key_member>");
  EXPECT_EQ(deleted_key(R"({"key":")" + repeated("x", 257) + "\"}"), "<key_or_value_too_long>");
  EXPECT_EQ(deleted_key(R"({"key":"a"}x)"), "<invalid_json>");
  EXPECT_EQ(deleted_key(""), "<empty_body>");
}

} // namespace
} // namespace kvcache::http
