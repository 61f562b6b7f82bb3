// The response that shows one value, as JSON with its key or as its bytes. Written in steps, so
// that nothing is allocated under a lock of the store: the constructor reserves space and writes
// the head, value() copies the value straight from the store.
//
//   value_response response{writer, out, json_envelope{key}, how};
//   do {
//     found = cache.get(key, [&](std::string_view value) { response.value(value); });
//   } while (found && response.reserve_more());
//   if (!found) writer.copy(out, prepared::not_found, how);
//
// Thread-safety: none.
// Errors: the constructor and reserve_more() throw std::bad_alloc; nothing is appended then.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "http/json_text.hpp"
#include "http/maybe_plain.hpp"
#include "http/output_buffer.hpp"
#include "http/prepared_responses.hpp"
#include "http/response.hpp"

namespace kvcache::http {

namespace detail {
inline char* put(char* to, std::string_view text) noexcept {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}
} // namespace detail

// {"status":"OK","key":"…","value":"…"}
class json_envelope {
public:
  static constexpr prepared head = prepared::json_value;
  // 256 characters, each a control character: with the default limits, the store is asked once.
  static constexpr std::size_t usual_value_bytes = 256 * json::max_escape_bytes;

  // The key must outlive this object.
  explicit json_envelope(maybe_plain key) noexcept
      : key_(key.text),
        escaped_key_bytes_(key.is_plain ? key.text.size() : json::escaped_size(key.text)) {}

  std::size_t frame_bytes() const noexcept {
    return start.size() + escaped_key_bytes_ + middle.size() + end.size();
  }
  static std::size_t size_of(std::string_view value) noexcept { return json::escaped_size(value); }

  // `size`: size_of(value). Returns the end of the body.
  char* write(char* to, std::string_view value, std::size_t size) const noexcept {
    to = detail::put(to, start);
    to = json::write_escaped(to, key_, escaped_key_bytes_);
    to = detail::put(to, middle);
    to = json::write_escaped(to, value, size);
    return detail::put(to, end);
  }

private:
  static constexpr std::string_view start = R"({"status":"OK","key":")";
  static constexpr std::string_view middle = R"(","value":")";
  static constexpr std::string_view end = R"("})";

  std::string_view key_;
  std::size_t escaped_key_bytes_;
};

// The bytes of the value.
struct raw_envelope {
  static constexpr prepared head = prepared::raw_value;
  static constexpr std::size_t usual_value_bytes = 1024;

  static std::size_t frame_bytes() noexcept { return 0; }
  static std::size_t size_of(std::string_view value) noexcept { return value.size(); }
  static char* write(char* to, std::string_view value, std::size_t) noexcept {
    return value.empty() ? to : detail::put(to, value);
  }
};

template <class Envelope>
class value_response {
public:
  value_response(const response_writer& writer, output_buffer& out, const Envelope& around,
                 reply_options how)
      : head_(writer.prepared_heads().get(Envelope::head, how.connection).whole),
        out_(out),
        around_(around),
        body_(how.body) {
    write_head(Envelope::usual_value_bytes);
  }
  value_response(const value_response&) = delete;
  value_response& operator=(const value_response&) = delete;

  // May be called under a lock of the store. If the value does not fit, nothing is appended and
  // reserve_more() returns true.
  void value(std::string_view bytes) noexcept {
    const std::size_t size = around_.size_of(bytes);
    if (body_ == body_part::send && size > space_for_value_) {
      lacking_value_bytes_ = size;
      return;
    }
    char* to =
        std::to_chars(after_head_, after_head_ + most_digits, around_.frame_bytes() + size).ptr;
    to = detail::put(to, head_end);
    if (body_ == body_part::send) to = around_.write(to, bytes, size);
    out_.commit(to);
  }

  // After value(). False: the response is complete. True: the value was larger than the reserved
  // space; enough is reserved now, read the store again.
  bool reserve_more() {
    if (lacking_value_bytes_ == 0) return false;
    write_head(lacking_value_bytes_);
    lacking_value_bytes_ = 0;
    return true;
  }

private:
  static constexpr std::string_view head_end = "\r\n\r\n";
  static constexpr std::size_t most_digits = 20; // of a 64-bit number

  void write_head(std::size_t value_bytes) {
    const std::size_t fixed_bytes =
        head_.size() + most_digits + head_end.size() + around_.frame_bytes();
    char* const start = out_.prepare(fixed_bytes + value_bytes);
    space_for_value_ = out_.room() - fixed_bytes;
    after_head_ = detail::put(start, head_);
  }

  std::string_view head_; // up to "Content-Length: "
  output_buffer& out_;
  Envelope around_;
  body_part body_;

  // The head is written behind the buffer's end, not yet appended.
  char* after_head_ = nullptr;
  std::size_t space_for_value_ = 0;
  std::size_t lacking_value_bytes_ = 0; // of the last value(); 0 if it fitted
};

} // namespace kvcache::http
