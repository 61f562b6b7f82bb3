// A TCP client for tests that sends exactly the given bytes and parses responses strictly.
//
// Errors: every wait is bounded (patience); a timeout throws std::runtime_error, which fails the
// test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvcache::test {

struct http_reply {
  unsigned status = 0;
  std::string head;                          // status line and fields, as received
  std::map<std::string, std::string> fields; // names in lower case
  std::string body;

  bool has(const std::string& name) const { return fields.contains(name); }
  std::string field(const std::string& name) const { return has(name) ? fields.at(name) : ""; }
};

class raw_client {
public:
  static constexpr std::chrono::seconds patience{20};

  // Connects to 127.0.0.1. `receive_buffer_bytes`: 0 leaves the kernel's default.
  explicit raw_client(std::uint16_t port, int receive_buffer_bytes = 0);
  ~raw_client();
  raw_client(raw_client&& other) noexcept;
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  // Sends all of it. False if the peer has closed.
  bool send(std::string_view bytes);

  // Sends as much as the kernel accepts without blocking; returns the number of bytes.
  std::size_t send_some(std::string_view bytes);

  void end_sending(); // half-close
  void reset();       // closes with a RST instead of a FIN

  // The next response. `to_head`: it has no body, whatever its Content-Length.
  http_reply read_reply(bool to_head = false);

  // Waits for the first byte of the next response. False: the peer closes or resets before it.
  bool await_reply();

  // Receives at most this many of the available bytes, without blocking; they belong to the next
  // response. False if there are none, or the peer has closed.
  bool receive_some(std::size_t bytes);

  // All bytes until the peer closes; throws if it resets the connection.
  std::string read_to_end();

  // Whether no byte arrives within `time`.
  bool is_silent_for(std::chrono::milliseconds time);

  // Whether the peer closes within the patience, without a reset and without a further byte.
  bool ends();

  // The maximum segment size of the connection.
  std::size_t segment_bytes() const;

  // send() and read_reply().
  http_reply ask(std::string_view request);

private:
  bool fill(); // receives more; false at the end

  int fd_ = -1;
  std::string received_;
};

// A request of an ordinary client.
std::string get_request(std::string_view target, std::string_view more_fields = "");
std::string post_request(std::string_view target, std::string_view body,
                         std::string_view more_fields = "");
std::string put_request(std::string_view key, std::string_view value); // both plain ASCII

} // namespace kvcache::test
