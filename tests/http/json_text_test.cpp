#include "http/json_text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace kvcache::http::json {
namespace {

std::string escaped(std::string_view text) {
  const std::size_t size = escaped_size(text);
  std::string out(size, '?');
  char* const end = write_escaped(out.data(), text, size);
  EXPECT_EQ(end, out.data() + size);
  return out;
}

TEST(json_text, escapes_the_bytes_that_need_it_and_no_others) { // RFC 8259 §7
  EXPECT_EQ(escaped("plain / text \x7f \xF0\x9F\x98\x80"), "plain / text \x7f \xF0\x9F\x98\x80");
  EXPECT_EQ(escaped("\"\\\b\f\n\r\t"), R"(\"\\\b\f\n\r\t)");
  EXPECT_EQ(escaped(std::string("\0\x01\x1f", 3)), R"(\u0000\u0001\u001f)");
  EXPECT_EQ(escaped(""), "");
}

TEST(json_text, finds_every_special_byte_at_every_place) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool special = byte < 0x20 || byte == '"' || byte == '\\';
    for (std::size_t size = 1; size < 20; ++size) {
      for (std::size_t place = 0; place < size; ++place) {
        for (const char fill : {'a', '\x80', '\xff', '!', ' ', '['}) {
          std::string text(size, fill);
          text[place] = static_cast<char>(byte);
          ASSERT_EQ(escaped_size(text) != size, special)
              << byte << " at " << place << " of " << size;
        }
      }
    }
  }
}

TEST(json_text, writes_text_that_a_json_reader_reads_byte_for_byte) {
  std::string text;
  for (int i = 0; i < 0x80; ++i) text += static_cast<char>(i);
  text += "\xC3\xA4 \xE2\x80\xA8 \xF0\x9F\x98\x80 \xEF\xBF\xBF";
  for (std::size_t start = 0; start < 0x80; ++start) {
    const std::string part = text.substr(start);
    EXPECT_EQ(nlohmann::json::parse('"' + escaped(part) + '"').get<std::string>(), part);
  }
}

TEST(json_text, never_takes_more_than_six_bytes_for_one) {
  EXPECT_EQ(escaped_size(std::string(100, '\x01')), 100 * max_escape_bytes);
}

} // namespace
} // namespace kvcache::http::json
