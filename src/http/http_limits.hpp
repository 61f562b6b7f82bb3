// The limits of a single request. Thread-safety: immutable after start.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace kvcache::http {

// What a request's body may be, which decides about its longest length: JSON of one operation, a
// value of any bytes, or JSON of many operations.
enum class body_kind : std::uint8_t { single, value, batch };

// The longest time to live that a request may ask for: ten years of 365 days.
inline constexpr std::uint32_t max_ttl_s = 315'360'000;

struct http_limits {
  // Characters (Unicode code points) in a key, and in a value. Raising them raises the byte limits
  // below through raised_for_characters(), so that every key that can be put can be read.
  std::size_t max_key_chars = 256;
  std::size_t max_value_chars = 256;

  std::size_t head_bytes = std::size_t{16} << 10;  // request line, fields and the empty line
  std::size_t head_fields = 64;                    // field lines in the head
  std::size_t target_bytes = std::size_t{8} << 10; // the request target
  std::size_t body_bytes = std::size_t{16} << 10;  // the body without chunk framing

  // The same of a PUT to a path that begins with value_path, and of a POST to batch_path.
  static constexpr std::string_view value_path = "/kv/";
  static constexpr std::string_view batch_path = "/batch";
  std::size_t max_value_bytes = std::size_t{1} << 20;
  std::size_t max_batch_bytes = std::size_t{1} << 20;
  constexpr std::size_t most_body_bytes(body_kind kind) const noexcept;

  std::size_t max_batch_ops = 1000;                         // operations in a batch
  std::size_t max_batch_reply_bytes = std::size_t{8} << 20; // of the body of its response

  // Chunked bodies only: bytes that are not body (sizes, extensions, line ends, trailers), all
  // chunks together (see chunk_overhead_for()); of these, one chunk's extensions; and the number of
  // trailer fields.
  std::size_t chunk_overhead_bytes = std::size_t{16} << 10;
  std::size_t chunk_extension_bytes = 1024;
  std::size_t trailer_fields = 16;

  // Empty lines skipped before a request line (RFC 9112 §2.2 asks for at least one).
  std::size_t leading_empty_lines = 4;

  // The bytes of a connection's input buffer after which a request is complete or refused: a buffer
  // of this size never blocks the parser.
  // Not of a value: that is not received into it.
  constexpr std::size_t request_bytes() const noexcept;

  // The same limits with head, target, body and chunk overhead made large enough for the longest
  // legal key and value in their longest legal spelling.
  constexpr http_limits raised_for_characters() const noexcept;
};

// The longest spellings of one character: %F0%9F%98%80 in a target, \uD83D\uDE00 in a body.
inline constexpr std::size_t target_bytes_per_char = 12;
inline constexpr std::size_t body_bytes_per_char = 12;
// Bytes beside keys and values: of a target (path, scheme, host, other parameters), of a body
// (braces, member names, spaces, ttl) and of a head (fields).
inline constexpr std::size_t target_frame_bytes = 1024;
inline constexpr std::size_t body_frame_bytes = 1024;
inline constexpr std::size_t head_frame_bytes = std::size_t{8} << 10;

// So that a body of the largest size may come in chunks of 128 bytes, each with six of its own and
// room for an extension; small bodies in smaller ones.
constexpr std::size_t chunk_overhead_for(std::size_t body_bytes) noexcept {
  constexpr std::size_t body_bytes_per_overhead_byte = 16;
  return std::max(http_limits{}.chunk_overhead_bytes, body_bytes / body_bytes_per_overhead_byte);
}

// Of all chunks together, as chunk_overhead_bytes.
constexpr std::size_t most_chunk_overhead_bytes(const http_limits& limits,
                                                body_kind kind) noexcept {
  return kind == body_kind::single ? limits.chunk_overhead_bytes
                                   : chunk_overhead_for(limits.most_body_bytes(kind));
}

constexpr std::size_t http_limits::most_body_bytes(body_kind kind) const noexcept {
  return kind == body_kind::single  ? body_bytes
         : kind == body_kind::value ? max_value_bytes
                                    : max_batch_bytes;
}

constexpr std::size_t http_limits::request_bytes() const noexcept {
  const auto with_framing = [this](body_kind kind) {
    return most_body_bytes(kind) + most_chunk_overhead_bytes(*this, kind);
  };
  return leading_empty_lines * 2 + head_bytes +
         std::max(with_framing(body_kind::single), with_framing(body_kind::batch));
}

constexpr http_limits http_limits::raised_for_characters() const noexcept {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 64;
  const std::size_t key = std::min(max_key_chars, most);
  const std::size_t value = std::min(max_value_chars, most);
  http_limits raised = *this;
  raised.target_bytes = std::max(target_bytes, key * target_bytes_per_char + target_frame_bytes);
  raised.body_bytes = std::max(body_bytes, (key + value) * body_bytes_per_char + body_frame_bytes);
  raised.chunk_overhead_bytes =
      std::max(chunk_overhead_bytes, chunk_overhead_for(raised.body_bytes));
  raised.head_bytes = std::max(head_bytes, raised.target_bytes + head_frame_bytes);
  return raised;
}

} // namespace kvcache::http
