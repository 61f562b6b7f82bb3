// How a value's content type, and what else is known of it, is stored with it. Pure.
//
// The entry's mark (new_value::mark) tells what follows the value's bytes in the cache:
//   text     nothing: put by /put, so UTF-8 of the type text/plain; charset=utf-8
//   utf8     nothing: of no type, UTF-8
//   binary   nothing: of no type, not UTF-8
//   trailer  [tag 8] [type n, n 1] code 1
//
// The code's high bit says that the value is UTF-8; the rest is the number of a common type, 127
// for no type, or 0, and then the type's text and its length precede it. A value of more than 4 KiB
// always has a trailer, with its entity tag; a shorter one has no tag, since computing it costs
// little.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache::http {

enum class value_mark : std::uint8_t { text, utf8, binary, trailer };

inline constexpr std::string_view text_type = "text/plain; charset=utf-8";
inline constexpr std::string_view unknown_type = "application/octet-stream";
inline constexpr std::size_t content_type_bytes_most = 100;

// Values longer than this have their tag stored with them.
inline constexpr std::size_t tagged_above_bytes = 4096;

struct value_info {
  std::string_view type = unknown_type; // of the response that shows it
  bool is_utf8 = false;
  std::optional<std::uint64_t> tag{}; // where it is stored
};

// A value as it is in the cache.
struct stored_value {
  std::string_view bytes; // without a trailer
  value_info info;
};

// `stored`: bytes and suffix of a format, as put. `mark`: likewise.
inline stored_value read_stored(std::string_view stored, unsigned mark) noexcept;
stored_value read_trailer(std::string_view stored) noexcept; // for read_stored

class value_format {
public:
  static constexpr std::size_t most_suffix_bytes = 8 + content_type_bytes_most + 2;

  // `type`: empty, or at most content_type_bytes_most bytes. `tag`: used if the value is longer
  // than tagged_above_bytes.
  value_format(std::size_t value_bytes, std::string_view type, bool is_utf8,
               std::uint64_t tag) noexcept;

  std::string_view suffix() const noexcept { return {suffix_.data(), bytes_}; }
  std::uint8_t mark() const noexcept { return static_cast<std::uint8_t>(mark_); }

private:
  std::array<char, most_suffix_bytes> suffix_; // deliberately uninitialised
  std::size_t bytes_ = 0;
  value_mark mark_ = value_mark::binary;
};

inline stored_value read_stored(std::string_view stored, unsigned mark) noexcept {
  if (mark == static_cast<unsigned>(value_mark::trailer)) return read_trailer(stored);
  return {stored,
          {mark == static_cast<unsigned>(value_mark::text) ? text_type : unknown_type,
           mark != static_cast<unsigned>(value_mark::binary)}};
}

} // namespace kvcache::http
