// A TCP client for tests that sends bytes exactly as it is told and reads replies strictly.
//
// Every wait has a limit (patience); what exceeds it throws std::runtime_error and so fails the
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

  // Sends as much as the kernel takes without waiting; returns how much.
  std::size_t send_some(std::string_view bytes);

  void end_sending(); // half-close
  void reset();       // closes with a RST instead of a FIN

  // The next reply. `to_head`: it has no body, whatever its Content-Length says.
  http_reply read_reply(bool to_head = false);

  // Takes at most so many of the bytes that have come, without waiting; they belong to the next
  // reply. False if there were none, or the peer has ended.
  bool receive_some(std::size_t bytes);

  // All that comes until the peer ends; throws if it resets the connection.
  std::string read_to_end();

  // Whether nothing comes within `time`.
  bool is_silent_for(std::chrono::milliseconds time);

  // Whether the peer ends (properly) within the patience and without a further byte.
  bool ends();

  // The most that a segment to or from the peer may hold.
  std::size_t segment_bytes() const;

  // send() and read_reply().
  http_reply ask(std::string_view request);

private:
  bool fill(); // receives more; false at the end

  int fd_ = -1;
  std::string received_;
};

// A request as an ordinary client sends it.
std::string get_request(std::string_view target, std::string_view more_fields = "");
std::string post_request(std::string_view target, std::string_view body,
                         std::string_view more_fields = "");
std::string put_request(std::string_view key, std::string_view value); // both plain ASCII

} // namespace kvcache::test
