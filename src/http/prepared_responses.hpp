// The registry of what is prepared: whole responses that are the same for every client, and the
// heads of responses with a value. Their Date is refreshed once a second, so that a request costs a
// copy.
//
// A further one is an enumerator here and a row in prepared_responses.cpp.
//
// Thread-safety: none; each worker has its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace kvcache::http {

// The response's statement about the connection: none (HTTP/1.1 connections persist by default),
// that it persists (for HTTP/1.0), or that it is closed.
enum class persistence : std::uint8_t { implied, keep_alive, close };
inline constexpr std::size_t persistence_count = 3;

inline constexpr std::string_view json_content_type = "application/json";

// On every response that a later one may contradict. Caches may store even a 404 that does not say
// so (RFC 9111 §4.2.2).
inline constexpr std::string_view no_store_field = "Cache-Control: no-store\r\n";

enum class prepared : std::uint8_t {
  // Heads up to "Content-Length: ", and those of a value of any bytes up to its tag.
  json_value,   // 200 with JSON
  raw_value,    // 200 with bytes of no known type
  kv_value,     // 200 with a value
  kv_unchanged, // 304
  kv_created,   // 201
  kv_replaced,  // 204
  // Whole responses.
  stored,     // 200 {"status":"OK","message":"Key inserted/updated successfully."}
  deleted,    // 200 {"status":"OK","message":"Key deleted."}
  kv_deleted, // 204
  not_found,  // 404 {"status":"ERROR","message":"Key not found."}
};
inline constexpr std::size_t prepared_count = static_cast<std::size_t>(prepared::not_found) + 1;

class prepared_responses {
public:
  struct text {
    std::string whole;
    std::size_t head_bytes = 0; // of a whole response: without the body
  };

  prepared_responses();

  // Takes over the time for Date. Cheap if the second is the same; allocates nothing.
  void refresh(std::time_t now_s) noexcept;

  const text& get(prepared which, persistence connection) const noexcept {
    return texts_[static_cast<std::size_t>(which)][static_cast<std::size_t>(connection)];
  }

  // The beginning of a head, to which further field lines may be appended.
  std::string head(unsigned status, std::string_view content_type, persistence connection) const;

private:
  std::time_t now_s_ = 0;
  std::string date_field_; // "Date: …\r\n"
  std::array<std::array<text, persistence_count>, prepared_count> texts_;
};

// {"status":"ERROR","message":"…"}
std::string error_body(std::string_view message);

} // namespace kvcache::http
