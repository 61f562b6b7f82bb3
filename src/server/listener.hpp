// Accepts connections on one listening socket and passes each to the worker with the fewest.
//
// One socket, without SO_REUSEPORT: a second instance on the same port is an error rather than a
// silent split of the load, few connections are spread evenly over the workers, and a drain has a
// single queue to empty.
//
// The socket is its own, or one that another process holds open and has passed to this one (socket
// activation). A passed socket outlives this process: its queue belongs to the next instance as
// well, so the listener neither shuts it down nor filters or empties its queue, but stops
// accepting.
//
// Thread-safety: runs on the first worker's io_context. The constructor runs before its thread;
// start(), stop(), close() and the caps may be called from any thread; all else runs on that
// thread. Ownership: the options, the workers and the fault table must outlive it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "http/fault.hpp"
#include "metrics/worker_counters.hpp"
#include "server/drain_stage.hpp"
#include "server/handler_memory.hpp"
#include "server/load_caps.hpp"
#include "server/server_options.hpp"
#include "server/unique_fd.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

class listener {
public:
  // Binds and listens, or takes over `passed`, a listening TCP socket, if that is not negative.
  // Throws boost::system::system_error, for example if the port is in use.
  // REQUIRES: !workers.empty(); `counters` is that of the first worker.
  listener(const server_options& options, const fault_table& faults,
           std::span<const std::unique_ptr<worker>> workers, observe::worker_counters& counters,
           unique_fd passed);

  boost::asio::ip::tcp::endpoint local_endpoint() const { return local_endpoint_; }

  void start();

  // The caps on connections; in force for the next one.
  void set_caps(const load_caps& caps) noexcept;
  std::size_t connections_most() const noexcept {
    return connections_most_.load(std::memory_order_relaxed);
  }

  // After `delay`, rejects new peers, accepts those whose handshake is complete or completes
  // shortly (well before `end`), stops listening and calls `stopped`. At most once. A passed socket
  // is only closed: whoever waits in its queue is served by the next instance.
  void stop(std::chrono::milliseconds delay, drain_clock::time_point end,
            std::function<void()> stopped);

  // Stops listening at once: peers in the queue of its own socket are reset. A stop() in progress
  // ends without calling `stopped`. May be called repeatedly.
  void close();

private:
  using acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp,
                                                      boost::asio::io_context::executor_type>;
  using timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                        boost::asio::wait_traits<std::chrono::steady_clock>,
                                        boost::asio::io_context::executor_type>;

  enum class accepted : std::uint8_t { some, queue_empty, failed };

  void bind_and_listen();
  void take_over(unique_fd passed);
  void bound_buffers(int socket) const noexcept;
  void wait();
  void accept_more();
  accepted accept_one();
  bool must_wait_for_memory() noexcept;
  bool is_paced() const noexcept;
  std::size_t count(admission as) const noexcept;
  void back_off();
  void accept_again_in(std::chrono::milliseconds pause);
  void hand_out(unique_fd peer);
  void refuse(const unique_fd& peer) noexcept;
  worker& least_loaded() noexcept;
  void after(drain_clock::duration time, void (listener::*next)());
  void let_handshakes_finish();
  void finish();
  void end_accepting();

  const server_options& options_;
  const bool is_passed_; // the socket
  std::atomic<std::size_t> connections_most_;
  std::atomic<std::size_t> connections_now_{std::numeric_limits<std::size_t>::max()};
  const std::size_t health_most_;
  const std::chrono::milliseconds accept_wait_;
  const std::size_t refused_most_;
  const fault_table& faults_;
  const std::string refusal_; // the response to rejected peers
  const std::span<const std::unique_ptr<worker>> workers_;
  observe::worker_counters& counters_;
  acceptor acceptor_;
  timer back_off_timer_;
  timer drain_timer_;
  boost::asio::ip::tcp::endpoint local_endpoint_;
  drain_clock::time_point drain_end_;
  std::optional<std::chrono::steady_clock::time_point>
      paced_since_;            // since then no peer was accepted
  bool waited_enough_ = false; // for memory: the peers that wait are not served
  std::function<void()> stopped_;
  handler_memory wait_memory_;
  handler_memory back_off_memory_;
  handler_memory drain_memory_;
  std::size_t next_worker_ = 0; // preferred among equally loaded ones
};

} // namespace kvcache::http
