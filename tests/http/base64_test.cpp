#include "http/base64.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace kvcache::http {
namespace {

std::string encoded(std::string_view bytes) {
  std::string text(base64::encoded_size(bytes.size()), '?');
  EXPECT_EQ(base64::encode(text.data(), bytes), text.data() + text.size());
  return text;
}

// "(refused)" for what is not base64.
std::string decoded(std::string_view text) {
  const auto size = base64::decoded_size(text);
  if (!size) return "(refused)";
  std::string bytes(*size, '?');
  const char* const end = base64::decode(bytes.data(), text);
  if (end == nullptr) return "(refused)";
  EXPECT_EQ(end, bytes.data() + bytes.size());
  return bytes;
}

// RFC 4648 §10.
TEST(base64, knows_the_test_vectors_of_its_rfc) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encoded(bytes), text);
    EXPECT_EQ(decoded(text), bytes);
  }
}

TEST(base64, gives_back_every_byte_at_every_place) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t bytes = 1; bytes < 7; ++bytes) {
      for (std::size_t place = 0; place < bytes; ++place) {
        std::string text(bytes, 'a');
        text[place] = static_cast<char>(byte);
        EXPECT_TRUE(decoded(encoded(text)) == text) << byte;
      }
    }
  }
}

TEST(base64, refuses_what_stands_for_no_bytes) {
  for (const std::string_view text :
       {"Z",    "Zg",    "Zg=",  "Zg===",   "=",    "==",       "===",    "====",
        "Z===", "Zm9v=", "Zm=v", "Z=9v",    "=m9v", "Zg==Zg==", "Zg==\n", "Zm 9",
        " Zg=", "Zm9-",  "Zm9_", "Zm9\xC3", "Zm9*", "Zh==",     "Zm9="})
    EXPECT_EQ(decoded(text), "(refused)") << text;
  EXPECT_EQ(decoded(std::string_view{"Zm9\0", 4}), "(refused)");
}

} // namespace
} // namespace kvcache::http
