#include "server/listener.hpp"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "http/response.hpp"

namespace kvcache::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// The kernel lowers it to net.core.somaxconn.
constexpr int backlog = 4096;

// Accepted at once, before the worker's connections are served.
constexpr int accept_batch = 64;

// Pause when descriptors or memory are exhausted. The waiting peers stay in the queue.
constexpr std::chrono::milliseconds back_off_time{250};

// Between two checks whether there is memory for the peers that wait.
constexpr std::chrono::milliseconds memory_pause{20};

// The response to rejected peers. A 503 needs no current Date (RFC 9110 §6.6.1), so it is prepared
// once.
std::string prepare_refusal(const fault_table& faults) {
  const response_writer writer{faults};
  output_buffer out;
  writer.refuse(out, {fault::too_many_connections}, {});
  return std::string{out.view()};
}

// The time to complete a handshake before listening ends: a round trip.
constexpr std::chrono::milliseconds handshake_time{50};

// From now on the kernel drops requests for new connections and completes handshakes in progress. A
// peer that retries a second later is refused. If the kernel does not support the filter, peers
// that connect at the moment of closing are reset.
void drop_new_peers(int listening) noexcept {
  constexpr std::uint32_t tcp_flags_at = 13; // byte of the TCP header, with which filters begin
  constexpr std::uint32_t syn = 0x02;
  constexpr std::uint32_t drop = 0;
  constexpr std::uint32_t keep_all = 0xffffffff;
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, tcp_flags_at),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, syn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, drop),
      BPF_STMT(BPF_RET | BPF_K, keep_all),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  ::setsockopt(listening, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

} // namespace

listener::listener(const server_options& options, const fault_table& faults,
                   std::span<const std::unique_ptr<worker>> workers,
                   observe::worker_counters& counters, unique_fd passed)
    : options_(options),
      is_passed_(passed.get() >= 0),
      connections_most_(options.max_connections),
      health_most_(options.health_connections),
      accept_wait_(options.timeouts.accept_wait_ms),
      refused_most_(options.refused_connections),
      faults_(faults),
      refusal_(prepare_refusal(faults)),
      workers_(workers),
      counters_(counters),
      acceptor_(workers.front()->context()),
      back_off_timer_(workers.front()->context()),
      drain_timer_(workers.front()->context()) {
  if (is_passed_)
    take_over(std::move(passed));
  else
    bind_and_listen();
  acceptor_.non_blocking(true);
  local_endpoint_ = acceptor_.local_endpoint();
}

void listener::bind_and_listen() {
  const tcp::endpoint wanted{asio::ip::make_address(options_.bind_address), options_.port};
  acceptor_.open(wanted.protocol());
  acceptor_.set_option(asio::socket_base::reuse_address(true)); // past connections in TIME_WAIT
  if (wanted.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
  bound_buffers(acceptor_.native_handle());
  acceptor_.bind(wanted);
  acceptor_.listen(backlog);
}

// Its address, its backlog and all options but the sizes of the buffers are those of its owner.
void listener::take_over(unique_fd passed) {
  int family = AF_INET;
  socklen_t bytes = sizeof(family);
  ::getsockopt(passed.get(), SOL_SOCKET, SO_DOMAIN, &family, &bytes);
  acceptor_.assign(family == AF_INET6 ? tcp::v6() : tcp::v4(), passed.get());
  passed.release();
  bound_buffers(acceptor_.native_handle());
}

// Every connection inherits them, so that the kernel does not let its buffers grow to megabytes.
// They are set before listening, since the handshake announces the receive window. A peer
// acknowledges at once only when it has received more than one segment. So several segments must
// fit into a small send buffer, which requires smaller ones on the loopback device.
void listener::bound_buffers(int socket) const noexcept {
  constexpr std::size_t segments_per_buffer = 4;
  constexpr std::size_t most_segment_bytes = 32'767; // the kernel takes no larger limit
  const std::size_t segment_bytes = options_.send_buffer_bytes / segments_per_buffer;
  if (segment_bytes <= most_segment_bytes) {
    const int bytes = static_cast<int>(segment_bytes);
    ::setsockopt(socket, IPPROTO_TCP, TCP_MAXSEG, &bytes, sizeof(bytes));
  }
  const int send_bytes = static_cast<int>(options_.send_buffer_bytes);
  const int receive_bytes = static_cast<int>(options_.receive_buffer_bytes);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
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
    if (must_wait_for_memory()) {
      accept_again_in(memory_pause);
      return;
    }
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
  wait(); // returns at once while the queue is not empty
}

listener::accepted listener::accept_one() {
  // Not through Asio, which would bind the socket to this worker; another one may get it.
  unique_fd peer{
      ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (peer.get() < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return accepted::queue_empty;
    // The peer has closed meanwhile, or a signal arrived.
    return errno == ECONNABORTED || errno == EPROTO || errno == EINTR ? accepted::some
                                                                      : accepted::failed;
  }
  // It may have connected before take_over(), and have inherited other sizes.
  if (is_passed_) bound_buffers(peer.get());
  try {
    hand_out(std::move(peer));
    return accepted::some;
  } catch (const std::bad_alloc&) {
    return accepted::failed;
  }
}

void listener::hand_out(unique_fd peer) {
  if (!waited_enough_ && count(admission::served) < connections_most())
    least_loaded().adopt(std::move(peer));
  else if (count(admission::health_only) < health_most_)
    least_loaded().adopt(std::move(peer), admission::health_only);
  else if (count(admission::refused) < refused_most_)
    least_loaded().adopt(std::move(peer), admission::refused);
  else
    refuse(peer);
}

// Discards the received input: closing with unread input would be a reset, which may overtake the
// response. Later input may still cause one; there are too many peers for a lingering close.
void listener::refuse(const unique_fd& peer) noexcept {
  const ssize_t sent =
      ::send(peer.get(), refusal_.data(), refusal_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(peer.get(), SHUT_WR);
  std::array<char, 16384> thrown_away; // deliberately uninitialised
  ::recv(peer.get(), thrown_away.data(), thrown_away.size(), MSG_DONTWAIT);
  counters_.add(observe::event::connection_refused);
  if (sent <= 0) return;
  counters_.add(observe::event::bytes_sent, static_cast<std::uint64_t>(sent));
  counters_.count_response(observe::unread_operation, faults_[fault::too_many_connections].status);
}

void listener::set_caps(const load_caps& caps) noexcept {
  connections_most_.store(caps.connections_most, std::memory_order_relaxed);
  connections_now_.store(caps.connections_now, std::memory_order_relaxed);
}

// Peers over the fixed limit do not wait: they are rejected.
bool listener::is_paced() const noexcept {
  const std::size_t now = count(admission::served);
  return now >= connections_now_.load(std::memory_order_relaxed) && now < connections_most();
}

// A health check may be in the queue, too, so the wait is bounded.
bool listener::must_wait_for_memory() noexcept {
  waited_enough_ = false;
  if (!is_paced()) {
    paced_since_.reset();
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!paced_since_) paced_since_ = now;
  waited_enough_ = now - *paced_since_ >= accept_wait_;
  return !waited_enough_;
}

std::size_t listener::count(admission as) const noexcept {
  std::size_t sum = 0;
  for (const auto& each : workers_) sum += each->connection_count(as);
  return sum;
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
  accept_again_in(back_off_time);
}

void listener::accept_again_in(std::chrono::milliseconds pause) {
  back_off_timer_.expires_after(pause);
  try {
    back_off_timer_.async_wait(asio::bind_allocator(handler_allocator<void>(back_off_memory_),
                                                    [this](const boost::system::error_code& error) {
                                                      if (!error) accept_more();
                                                    }));
  } catch (const std::bad_alloc&) {
    wait(); // returns at once, which is expensive, but a listener must not stop accepting
  }
}

void listener::stop(std::chrono::milliseconds delay, drain_clock::time_point end,
                    std::function<void()> stopped) {
  asio::post(acceptor_.get_executor(), [this, delay, end, stopped = std::move(stopped)]() mutable {
    if (!acceptor_.is_open()) return;
    drain_end_ = end;
    stopped_ = std::move(stopped);
    after(delay, is_passed_ ? &listener::end_accepting : &listener::let_handshakes_finish);
  });
}

void listener::close() {
  asio::post(acceptor_.get_executor(), [this] {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    back_off_timer_.cancel();
    drain_timer_.cancel();
  });
}

void listener::after(drain_clock::duration time, void (listener::*next)()) {
  drain_timer_.expires_after(time);
  try {
    drain_timer_.async_wait(
        asio::bind_allocator(handler_allocator<void>(drain_memory_),
                             [this, next](const boost::system::error_code& error) {
                               // The timer may have run out in the moment in which close()
                               // cancelled it.
                               if (!error && acceptor_.is_open()) (this->*next)();
                             }));
  } catch (const std::bad_alloc&) {
    (this->*next)(); // too early is better than never
  }
}

// Closing resets the peers in the queue and those whose handshake is in progress, which consider
// themselves connected.
void listener::let_handshakes_finish() {
  drop_new_peers(acceptor_.native_handle());
  after(drain_stage(handshake_time, drain_clock::now(), drain_end_), &listener::finish);
}

void listener::finish() {
  waited_enough_ = false;
  while (accept_one() == accepted::some) {
  }
  end_accepting();
}

void listener::end_accepting() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  back_off_timer_.cancel();
  stopped_();
}

} // namespace kvcache::http
