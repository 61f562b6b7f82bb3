// A worker's sockets that are ready to be read from or written to: an epoll set, for which Asio
// waits as for one descriptor.
//
// Asio's own sockets begin each asynchronous receive with an attempt, which right after a response
// is a wasted system call per request (or an epoll_ctl, with async_wait). Here a request costs one
// receive and one send; finding the ready sockets is one call for all of them, waiting costs three.
// The set is level-triggered: a socket that is not read completely is reported again.
//
// Thread-safety: none; each worker has its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <cstdint>

#include "server/handler_memory.hpp"

namespace kvcache::http {

class connection;

// The event a connection waits for; errors are always reported.
enum class interest : std::uint8_t { nothing, receive, send };

class ready_set {
public:
  explicit ready_set(boost::asio::io_context& context); // throws boost::system::system_error

  // Calls connection::on_ready() of ready connections until close(). Throws std::bad_alloc.
  void watch();
  void close() noexcept;

  // False: the kernel has no memory for it. Closing the descriptor removes it.
  bool add(int fd, connection& of, interest in) noexcept;
  void change(int fd, connection& of, interest in) noexcept;

private:
  using descriptor =
      boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

  void serve_ready() noexcept;

  descriptor epoll_;
  handler_memory wait_memory_;
};

} // namespace kvcache::http
