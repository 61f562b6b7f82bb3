#include "api/body_upload.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "http/utf8.hpp"
#include "kvcache/cache.hpp"

namespace kvcache::http {
namespace {

bool is_utf8_in_pieces(std::string_view text, std::size_t piece) {
  static cache store{cache_options{}};
  static const entity_tagger tagger;
  body_upload upload{store.begin_upload("key", value_upload::least_bytes), tagger};
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string_view part = text.substr(at, std::min(piece, text.size() - at));
    std::copy(part.begin(), part.end(), upload.free_space().begin());
    upload.commit(part.size());
  }
  EXPECT_EQ(upload.received_bytes(), text.size());
  EXPECT_EQ(upload.tag("t/t"), tagger.tag_of("t/t", text));
  return upload.is_utf8();
}

TEST(body_upload, knows_whether_its_bytes_are_utf8_whatever_the_pieces) {
  const std::string good = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  for (std::size_t end = 0; end <= good.size(); ++end) { // also in the middle of a character
    const std::string text = std::string(50, 'x') + good.substr(0, end);
    for (std::size_t piece = 1; piece <= text.size(); ++piece)
      ASSERT_EQ(is_utf8_in_pieces(text, piece), utf8::is_valid(text)) << end << ' ' << piece;
  }
  for (const std::string bad : {"\xFF", "\xC3(", "\xE2\x82(", "\xF0\x9F\x98(", "\xED\xA0\x80"}) {
    const std::string text = "abc" + bad + "def";
    for (std::size_t piece = 1; piece <= text.size(); ++piece)
      ASSERT_FALSE(is_utf8_in_pieces(text, piece));
  }
}

} // namespace
} // namespace kvcache::http
