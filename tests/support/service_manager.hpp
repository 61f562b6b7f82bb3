// What a service manager has for its services: the socket at which it is notified, and the
// listening socket that it passes to them. Thread-safety: none.
//
// Errors: the constructors throw std::system_error. Every wait is bounded (raw_client::patience); a
// timeout throws std::runtime_error, which fails the test.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/unique_fd.hpp"
#include "support/raw_client.hpp"

namespace kvcache::test {

class notify_socket {
public:
  notify_socket();                                 // at an abstract name
  explicit notify_socket(const std::string& path); // at a path, which must not exist
  ~notify_socket();
  notify_socket(const notify_socket&) = delete;
  notify_socket& operator=(const notify_socket&) = delete;

  const std::string& name() const { return name_; } // the value of NOTIFY_SOCKET

  std::string receive();
  std::string receive_next(std::string_view begin); // skips others
  bool is_empty() const;

  // Sends messages until the queue is full; returns their number.
  int fill();

private:
  http::unique_fd fd_;
  const std::string path_; // empty: abstract
  std::string name_;
};

// Listens on a free port of 127.0.0.1, and stays open while instances of the program come and go.
// At most one exists at a time, since it reserves variables of the environment.
class listening_socket {
public:
  listening_socket();
  ~listening_socket();
  listening_socket(const listening_socket&) = delete;
  listening_socket& operator=(const listening_socket&) = delete;

  int fd() const { return fd_.get(); }
  std::uint16_t port() const { return port_; }
  raw_client connect() const { return raw_client{port_}; }
  bool listens() const;
  bool has_filter() const;

  // In the child process, just before it executes the program: passes the socket by LISTEN_FDS.
  // Allocates nothing.
  void pass() const;

private:
  http::unique_fd fd_;
  std::uint16_t port_ = 0;
};

} // namespace kvcache::test
