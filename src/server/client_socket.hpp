// A client's socket: non-blocking transfers, and what the kernel holds for it.
//
// Ownership: owns the descriptor. Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/unique_fd.hpp"

namespace kvcache::http {

struct transfer {
  std::size_t bytes = 0;
  bool is_open = true; // false: the peer has ended, or the socket has failed
};

// Memory that the kernel holds for a socket, in bytes.
struct kernel_memory {
  std::uint32_t received = 0;
  std::uint32_t receive_limit = 0;
  std::uint32_t to_send = 0;
};

class client_socket {
public:
  explicit client_socket(unique_fd fd) noexcept;

  int fd() const noexcept { return fd_.get(); }

  transfer receive(std::span<char> to) noexcept;
  transfer send(std::string_view text) noexcept;
  transfer send(std::string_view text, std::string_view more) noexcept; // both, as one

  // Drops input in the kernel, without copying it.
  transfer discard() noexcept;

  std::size_t input_bytes() const noexcept; // not yet received
  bool has_input() const noexcept { return input_bytes() != 0; }

  // Of what has been sent. A failed socket reports no progress.
  std::uint32_t unacknowledged_bytes() const noexcept;

  // False: the kernel does not report it.
  bool read_memory(kernel_memory& out) const noexcept;

  bool end_sending() noexcept; // false: the socket has failed
  void close() noexcept { fd_.reset(); }

  // Closes, and the kernel drops at once what the peer has not received. It would otherwise keep it
  // for minutes, unaccounted, and as long as the peer likes.
  void reset() noexcept;

private:
  unique_fd fd_;
};

} // namespace kvcache::http
