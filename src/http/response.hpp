// Writes complete responses (head and body) into an output buffer.
//
//   response_writer writer{faults};
//   writer.refresh(now);                                    // once a second
//   writer.copy(out, prepared::stored, how);
//
// Thread-safety: none; each worker has its own.
// Errors: members throw std::bad_alloc only, before anything is appended.
#pragma once

#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <string_view>

#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/prepared_responses.hpp"
#include "http/request.hpp"

namespace kvcache::http {

enum class body_part : std::uint8_t { send, omit }; // omit: the response to a HEAD

struct reply_options {
  persistence connection = persistence::implied;
  body_part body = body_part::send;
};

// How to respond to this request. `then`: the server's intention for the connection.
reply_options options_for(const request& asked, after_reply then = after_reply::go_on) noexcept;

inline constexpr std::string_view continue_reply = "HTTP/1.1 100 Continue\r\n\r\n";

class response_writer {
public:
  explicit response_writer(const fault_table& faults) : faults_(faults) {} // kept by reference
  explicit response_writer(fault_table&&) = delete;

  // Takes over the time for Date; cheap if the second is the same.
  void refresh(std::time_t now_s) noexcept { prepared_.refresh(now_s); }

  // REQUIRES: a whole response.
  void copy(output_buffer& out, prepared which, reply_options how) const {
    const prepared_responses::text& text = prepared_.get(which, how.connection);
    std::string_view copied = text.whole;
    if (how.body == body_part::omit) copied = copied.substr(0, text.head_bytes);
    out.append(copied);
  }

  // The response to a fault from the fault table, with no-store, and with `Connection: close` if
  // the table closes. `extra_fields`: whole field lines with CRLF, such as "Allow: GET, HEAD\r\n".
  void refuse(output_buffer& out, const refusal& why, reply_options how,
              std::string_view extra_fields = {}) const;

  // 204 or 304, which have neither a body nor a length (RFC 9110 §8.6, §15.4.5).
  void head_only(output_buffer& out, unsigned status, reply_options how,
                 std::string_view extra_fields) const;

  // Any other response. No Content-Type if content_type is empty.
  // REQUIRES: a status that allows a body (not 1xx, 204, 304).
  void reply(output_buffer& out, unsigned status, std::string_view content_type,
             std::string_view body, reply_options how,
             std::string_view extra_fields = no_store_field) const;

  const prepared_responses& prepared_heads() const noexcept { return prepared_; }

private:
  // `fields`: whole field lines with CRLF each, or nothing.
  void write(output_buffer& out, unsigned status, std::string_view content_type,
             std::string_view body, reply_options how,
             std::initializer_list<std::string_view> fields) const;

  const fault_table& faults_;
  prepared_responses prepared_;
};

} // namespace kvcache::http
