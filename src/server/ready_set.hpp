// Which of a worker's sockets can be read from or written to: an epoll set of our own, for which
// Asio waits as for one descriptor.
//
// Why not Asio's sockets: with its public interface each asynchronous receive begins with a trial,
// and right after a reply that is a system call in vain for each request (or an epoll_ctl, with
// async_wait). Here a request costs one receive and one send; to look which are ready is one call
// for all of them, to wait until one is costs three. The set is level-triggered, so nothing is lost
// that is not read at once.
//
// Thread-safety: none; each worker has its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <cstdint>

#include "server/handler_memory.hpp"

namespace kvcache::http {

class connection;

// What a connection waits for; errors are reported always.
enum class interest : std::uint8_t { nothing, receive, send };

class ready_set {
public:
  explicit ready_set(boost::asio::io_context& context); // throws boost::system::system_error

  // Calls connection::on_ready() of those that are ready, again and again until close().
  void watch();
  void close() noexcept;

  // False: the kernel has no room for it. Closing the descriptor takes it out.
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
