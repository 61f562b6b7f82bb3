// Writes complete replies (head and body) into an output buffer, from heads prepared in advance.
//
//   reply_writer writer{faults};
//   writer.refresh(now);                                    // once a second
//   writer.stored(out, how);                                // PUT
//   get_reply reply{writer, out, key, how};                 // GET
//   do {
//     found = cache.get(key, [&](std::string_view value) { reply.value(value); });
//   } while (found && reply.make_room());
//   if (!found) reply.miss();
//
// All of it throws only std::bad_alloc, before anything was appended.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request.hpp"

namespace kvcache::http {

// What the reply says of the connection: nothing (HTTP/1.1 goes on by default), that it goes on
// (HTTP/1.0 needs to be told), or that it ends.
enum class persistence : std::uint8_t { implied, keep_alive, close };
inline constexpr std::size_t persistence_count = 3;

enum class body_part : std::uint8_t { send, omit }; // omit: the reply to a HEAD

struct reply_options {
  persistence connection = persistence::implied;
  body_part body = body_part::send;
};

// How to answer this request; `then` is what the server wants to do with the connection afterwards.
reply_options options_for(const request& asked, after_reply then = after_reply::go_on) noexcept;

inline constexpr std::string_view json_content_type = "application/json";
// On every answer that a later one may contradict. Caches may store even a 404 that does not say so
// (RFC 9111 §4.2.2).
inline constexpr std::string_view no_store_field = "Cache-Control: no-store\r\n";
inline constexpr std::string_view continue_reply = "HTTP/1.1 100 Continue\r\n\r\n";

// One per worker thread, used by that thread only.
class reply_writer {
public:
  explicit reply_writer(const fault_table& faults); // kept by reference
  explicit reply_writer(fault_table&&) = delete;

  // Takes over the time for Date; cheap if the second is still the same.
  void refresh(std::time_t now_s) noexcept;

  // 200 {"status":"OK","message":"Key inserted/updated successfully."}
  void stored(output_buffer& out, reply_options how) const;
  // 200 {"status":"OK","message":"Key deleted."}
  void deleted(output_buffer& out, reply_options how) const;
  // 404 {"status":"ERROR","message":"Key not found."}
  void not_found(output_buffer& out, reply_options how) const;

  // The refusal's reply from the fault table, not to be stored; says `Connection: close` where the
  // table closes.
  // `extra_fields`: whole field lines with CRLF, such as "Allow: GET, HEAD\r\n".
  void refuse(output_buffer& out, const refusal& why, reply_options how,
              std::string_view extra_fields = {}) const;

  // 204, which says no length: it has no body by definition (RFC 9110 §8.6).
  void no_content(output_buffer& out, reply_options how, std::string_view extra_fields) const;

  // 304: the client has what it asks for. Like 204 it has no body, and no length either.
  void not_modified(output_buffer& out, reply_options how, std::string_view extra_fields) const;

  // Anything else (statistics, metrics). No Content-Type where content_type is empty.
  // REQUIRES: a status with a body, if an empty one (not 1xx, 204, 304).
  void reply(output_buffer& out, unsigned status, std::string_view content_type,
             std::string_view body, reply_options how,
             std::string_view extra_fields = no_store_field) const;

private:
  friend class get_reply;

  // A reply that is the same for everybody, ready to be copied; its head is a prefix of it.
  struct ready_reply {
    std::string text;
    std::size_t head_bytes = 0;
  };
  using ready_replies = std::array<ready_reply, persistence_count>;

  void copy(output_buffer& out, const ready_replies& replies, reply_options how) const;
  ready_replies make_ready(unsigned status, std::string_view body,
                           std::string_view extra_fields) const;
  void head_alone(output_buffer& out, unsigned status, reply_options how,
                  std::string_view extra_fields) const;

  const fault_table& faults_;
  std::time_t now_s_ = 0;
  std::string date_field_; // "Date: …\r\n"
  ready_replies stored_;
  ready_replies deleted_;
  ready_replies not_found_;
  std::array<std::string, persistence_count> hit_head_; // of a GET, up to "Content-Length: "
};

// The reply to one GET, written in two steps so that nothing is allocated under the store's lock:
// the constructor makes room and writes what is known, value() copies the value straight from the
// store. Appends nothing until value() or miss() succeeds.
class get_reply {
public:
  // `key` as it is to be shown; it must stay valid as long as this object.
  get_reply(const reply_writer& writer, output_buffer& out, maybe_plain key, reply_options how);
  get_reply(const get_reply&) = delete;
  get_reply& operator=(const get_reply&) = delete;

  // Called under the bucket's lock. Does not allocate; where the value does not fit, nothing is
  // appended and make_room() will say so.
  void value(std::string_view raw) noexcept;

  // After a hit. False: the reply is complete. True: the value was larger than the room there was;
  // there is enough for it now, ask the store again.
  bool make_room();

  // After a miss: the 404 instead.
  void miss();

private:
  void write_head(std::size_t value_bytes);

  const reply_writer& writer_;
  output_buffer& out_;
  std::string_view key_;
  std::size_t escaped_key_bytes_;
  reply_options how_;

  // Written behind the buffer's end, not yet appended: the head up to "Content-Length: ".
  char* after_head_ = nullptr;
  std::size_t room_for_value_ = 0;
  std::size_t lacking_value_bytes_ = 0; // what the last value() would have needed; 0 if it fitted
};

} // namespace kvcache::http
