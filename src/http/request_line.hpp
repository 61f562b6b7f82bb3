// The request line of one request (RFC 9112 §3): its parts, by offset into the input, and its
// rules.
//
// Beast reads a head only when its end is there. This class checks a request line as it arrives, so
// that one which can no longer become valid is refused at once, and takes over what Beast has read
// of a whole one.
//
// Thread-safety: none. The input may move between two calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/fault.hpp"
#include "http/http_limits.hpp"
#include "http/request.hpp"

namespace kvcache::http {

// A piece of the input, by offset; or none.
struct input_span {
  std::size_t offset = 0;
  std::size_t size = 0;

  // Only the method begins an input, and it is not empty.
  bool exists() const noexcept { return offset + size != 0; }
  std::string_view in(std::string_view input) const noexcept {
    return exists() ? std::string_view(input.data() + offset, size) : std::string_view();
  }
};

// REQUIRES: `piece` is part of `input`.
inline input_span span_in(std::string_view input, std::string_view piece) noexcept {
  return {static_cast<std::size_t>(piece.data() - input.data()), piece.size()};
}

class request_line {
public:
  void begin_at(std::size_t offset) noexcept { start_ = read_to_ = offset; }

  // Checks what has arrived, from where the last call stopped. The minor version is left to Beast.
  fault check(std::string_view input, const http_limits& limits) noexcept;

  // Takes over the parts of a whole line. REQUIRES: method and target are part of `input`, and the
  // target is not empty.
  fault accept(std::string_view input, method verb, std::string_view method_text,
               std::string_view target, http_version version, const http_limits& limits) noexcept;

  // The offset of the minor version's digit. REQUIRES: check() has accepted a whole line.
  std::size_t minor_version_at() const noexcept;

  method verb = method::other; // until the method has been read
  http_version version = http_version::http_1_1;
  target_form form = target_form::origin;
  input_span method_text;
  input_span target;
  input_span path_and_query;
  input_span authority; // of a target in absolute form

private:
  enum class part : std::uint8_t { method, target, version };

  fault check_version(std::string_view text) noexcept;
  bool may_become_target(std::string_view input) const noexcept;
  fault check_target(std::string_view input) noexcept;

  std::size_t start_ = 0;
  std::size_t read_to_ = 0; // by check()
  part part_ = part::method;
};

} // namespace kvcache::http
