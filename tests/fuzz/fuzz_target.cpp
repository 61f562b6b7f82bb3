// Any bytes as path and query. Holds: a key that is found is UTF-8, not empty and within its limit;
// a key encoded byte by byte comes back as it was; '#' and what follows never matter.
#include <cstdint>
#include <string>

#include "fuzz/fuzzing.hpp"
#include "http/target.hpp"
#include "http/utf8.hpp"

using namespace kvcache::http;
using kvcache::fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  http_limits limits;
  limits.max_key_chars = 32;
  std::string scratch;
  std::string_view key;

  const target_parts parts = split_target(input);
  check(!parts.path.empty(), "there is a path");
  check(parts.query.find('#') == std::string_view::npos, "the fragment is cut off");
  if (!find_key(parts.query, limits, scratch, key)) {
    check(!key.empty(), "the key is not empty");
    check(utf8::is_valid(key), "the key is UTF-8");
    check(utf8::count_chars(key) <= limits.max_key_chars, "the key is not too long");
  }

  if (!find_path_key(parts.path, limits, scratch, key)) {
    check(utf8::is_valid(key), "the key in a path is UTF-8");
    check(utf8::count_chars(key) <= limits.max_key_chars, "the key in a path is not too long");
    check(parts.path.find('%') != std::string_view::npos || key == parts.path,
          "nothing is changed");
  }

  std::string query = "a=%41&key=";
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : input) {
    const auto byte = static_cast<unsigned char>(c);
    query += '%';
    query += digits[byte >> 4];
    query += digits[byte & 15];
  }
  const refusal why_path =
      find_path_key(query.substr(query.find("key=") + 4), limits, scratch, key);
  const bool same_in_path = !why_path && key == input;
  const refusal why = find_key(query, limits, scratch, key);
  check(same_in_path == !why, "a path may hold the keys that a query may");
  if (!utf8::is_valid(input))
    check(why.code == fault::query_not_utf8, "invalid UTF-8 is refused");
  else if (input.empty())
    check(why.code == fault::empty_key, "an empty key is refused");
  else if (utf8::count_chars(input) > limits.max_key_chars)
    check(why.code == fault::key_or_value_too_long, "a long key is refused");
  else
    check(!why && key == input, "an encoded key comes back");
  return 0;
}
