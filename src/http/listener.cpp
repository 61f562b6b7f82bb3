#include "http/listener.hpp"

#include <sys/socket.h>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>

#include <cerrno>
#include <new>
#include <utility>

namespace kvcache::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// The kernel cuts it down to net.core.somaxconn.
constexpr int backlog = 4096;

// Accepted in one go before the worker's connections get their turn.
constexpr int accept_batch = 64;

// How long not to accept when descriptors or memory have run out. The waiting peers stay in the
// queue.
constexpr std::chrono::milliseconds back_off_time{250};

// Over the limit, so many are answered 503 at the same time; further ones are just closed.
constexpr std::size_t refusals_max = 256;

} // namespace

listener::listener(const server_options& options, std::span<const std::unique_ptr<worker>> workers,
                   observe::worker_counters& counters)
    : connections_max_(options.max_connections),
      workers_(workers),
      counters_(counters),
      acceptor_(workers.front()->context()),
      back_off_timer_(workers.front()->context()),
      drain_timer_(workers.front()->context()) {
  const tcp::endpoint wanted{asio::ip::make_address(options.bind_address), options.port};
  acceptor_.open(wanted.protocol());
  acceptor_.set_option(asio::socket_base::reuse_address(true)); // past connections in TIME_WAIT
  if (wanted.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
  acceptor_.bind(wanted);
  acceptor_.listen(backlog);
  acceptor_.non_blocking(true);
  local_endpoint_ = acceptor_.local_endpoint();
}

void listener::start() {
  asio::post(acceptor_.get_executor(), [this] { wait(); });
}

void listener::wait() {
  acceptor_.async_wait(asio::socket_base::wait_read,
                       asio::bind_allocator(handler_allocator<void>(wait_memory_),
                                            [this](const boost::system::error_code& error) {
                                              if (!error) accept_more();
                                            }));
}

void listener::accept_more() {
  if (!acceptor_.is_open()) return;
  for (int i = 0; i < accept_batch; ++i) {
    switch (accept_one()) {
    case accepted::some:
      break;
    case accepted::queue_empty:
      wait();
      return;
    case accepted::failed:
      back_off();
      return;
    }
  }
  wait(); // comes back at once while the queue is not empty
}

listener::accepted listener::accept_one() {
  // Not through Asio: that would tie the socket to this worker, and the one it goes to is not to be
  // touched from here.
  unique_fd peer{
      ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (peer.get() < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return accepted::queue_empty;
    // The peer has given up meanwhile, or a signal came.
    return errno == ECONNABORTED || errno == EPROTO || errno == EINTR ? accepted::some
                                                                      : accepted::failed;
  }
  try {
    hand_out(std::move(peer));
    return accepted::some;
  } catch (const std::bad_alloc&) {
    return accepted::failed;
  }
}

void listener::hand_out(unique_fd peer) {
  std::size_t serving = 0;
  std::size_t refusing = 0;
  for (const auto& each : workers_) {
    serving += each->connection_count();
    refusing += each->refused_count();
  }
  if (serving < connections_max_)
    least_loaded().adopt(std::move(peer));
  else if (refusing < refusals_max)
    least_loaded().adopt(std::move(peer), fault::too_many_connections);
  else
    counters_.add(observe::event::connection_refused);
}

worker& listener::least_loaded() noexcept {
  std::size_t best = next_worker_;
  for (std::size_t i = 1; i < workers_.size(); ++i) {
    const std::size_t candidate = (next_worker_ + i) % workers_.size();
    if (workers_[candidate]->connection_count() < workers_[best]->connection_count())
      best = candidate;
  }
  next_worker_ = (best + 1) % workers_.size();
  return *workers_[best];
}

void listener::back_off() {
  counters_.add(observe::event::accept_failed);
  back_off_timer_.expires_after(back_off_time);
  try {
    back_off_timer_.async_wait(asio::bind_allocator(handler_allocator<void>(back_off_memory_),
                                                    [this](const boost::system::error_code& error) {
                                                      if (!error) accept_more();
                                                    }));
  } catch (const std::bad_alloc&) {
    wait(); // comes back at once, which is dear, but a listener that waits for nothing is dead
  }
}

void listener::stop(std::chrono::milliseconds delay, std::function<void()> stopped) {
  asio::post(acceptor_.get_executor(), [this, delay, stopped = std::move(stopped)]() mutable {
    if (!acceptor_.is_open()) return;
    stopped_ = std::move(stopped);
    drain_timer_.expires_after(delay);
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) finish();
    });
  });
}

void listener::finish() {
  // Closing resets what is still in the queue: empty it first.
  while (accept_one() == accepted::some) {
  }
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  back_off_timer_.cancel();
  stopped_();
}

} // namespace kvcache::http
