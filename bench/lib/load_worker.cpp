#include "load_worker.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

namespace kvcache::bench {

namespace {

constexpr std::size_t receive_bytes = std::size_t{256} * 1024;
constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t grace_ns = 2 * second_ns; // for answers, after the last request was due
constexpr std::uint64_t no_stop = std::numeric_limits<std::uint64_t>::max();

std::uint64_t clock_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

} // namespace

struct load_worker::connection {
  int fd = -1;
  bool waits_to_write = false;
  bool in_free_list = false;
  std::string output;
  std::size_t output_sent = 0;
  std::string input;
  std::size_t input_filled = 0;
  std::deque<pending> asked;
  std::vector<std::uint64_t>
      batch_keys; // of all requests of `asked`, in order, from batch_keys_used
  std::size_t batch_keys_used = 0;
  std::deque<std::uint64_t> missed; // keys to be put, where the load is read-through
};

void load_result::merge(const load_result& other) {
  const auto worst = [](const load_result& r) {
    return std::max(r.gets.max_ns(), r.others.max_ns());
  };
  if (worst(other) > worst(*this)) {
    worst_after = other.worst_after;
  }
  gets.merge(other.gets);
  others.merge(other.others);
  requests += other.requests;
  ok += other.ok;
  misses += other.misses;
  refused += other.refused;
  errors += other.errors;
  wrong_values += other.wrong_values;
  dropped += other.dropped;
  unsent += other.unsent;
  reconnects += other.reconnects;
  server_gone = server_gone || other.server_gone;
}

load_worker::load_worker(const load_options& options, const workload& work, unsigned index)
    : options_(options), work_(work), source_(work, index, options.threads) {
  if (options.batch > 0 &&
      (options.read_through || work.options().erase || options.spoken == protocol::webdis)) {
    throw std::invalid_argument("--batch does not support --read-through, --erase and webdis");
  }
  if (options.rate > 0.0 && options.burst > options.window) {
    throw std::invalid_argument("--burst is more than --window allows on one connection");
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const unsigned share = options.connections / options.threads +
                         (index < options.connections % options.threads ? 1 : 0);
  for (unsigned i = 0; i < share; ++i) {
    auto peer = std::make_unique<connection>();
    peer->input.resize(receive_bytes / std::max(1U, share / 64));
    if (!connect(*peer)) {
      throw std::runtime_error("cannot connect to port " + std::to_string(options.port));
    }
    connections_.push_back(std::move(peer));
  }
  events_.resize(std::max<std::size_t>(connections_.size(), 1));
  if (options_.rate > 0.0) {
    interval_ns_ =
        static_cast<double>(second_ns) * options_.threads * options_.burst / options_.rate;
    next_due_ns_ = interval_ns_ * index / options_.threads;
  }
}

load_worker::~load_worker() {
  for (const auto& peer : connections_) {
    close(peer->fd);
  }
  close(epoll_);
}

bool load_worker::has_room(const connection& peer) const {
  return peer.asked.size() + (interval_ns_ > 0.0 ? options_.burst : 1) <= options_.window;
}

bool load_worker::connect(connection& peer) {
  peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options_.port);
  if (::connect(peer.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return false;
  }
  const int on = 1;
  setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(peer.fd, F_SETFL, fcntl(peer.fd, F_GETFL) | O_NONBLOCK);
  watch(peer, EPOLL_CTL_ADD, false);
  return true;
}

void load_worker::reconnect(connection& peer) {
  for (const pending& asked : peer.asked) {
    result_.dropped += asked.keys;
  }
  ++result_.reconnects;
  under_way_ -= peer.asked.size();
  close(peer.fd);
  peer.asked.clear();
  peer.batch_keys.clear();
  peer.batch_keys_used = 0;
  peer.output.clear();
  peer.output_sent = 0;
  peer.input_filled = 0;
  if (!connect(peer)) {
    result_.server_gone = true;
  }
}

void load_worker::watch(connection& peer, int change, bool for_writing) {
  epoll_event event{};
  event.events = EPOLLIN | (for_writing ? EPOLLOUT : 0U);
  event.data.ptr = &peer;
  epoll_ctl(epoll_, change, peer.fd, &event);
  peer.waits_to_write = for_writing;
}

void load_worker::issue(connection& peer, std::uint64_t due_ns) {
  std::optional<planned_request> planned;
  if (!peer.missed.empty()) {
    planned = {operation::put, peer.missed.front()};
    peer.missed.pop_front();
  } else {
    planned = source_.next();
  }
  if (!planned) {
    exhausted_ = true;
    return;
  }
  if (options_.batch > 0) {
    issue_batch(peer, *planned, due_ns);
    return;
  }
  work_.write_key(key_, planned->key_index);
  append_request(options_.spoken, peer.output, planned->what, key_,
                 work_.value_of(planned->key_index));
  peer.asked.push_back({due_ns, planned->key_index, 1, planned->what});
  ++under_way_;
}

// The last batch has fewer keys if the workload ends inside it.
void load_worker::issue_batch(connection& peer, const planned_request& first,
                              std::uint64_t due_ns) {
  const std::size_t before = peer.batch_keys.size();
  peer.batch_keys.push_back(first.key_index);
  for (unsigned i = 1; i < options_.batch; ++i) {
    const auto key = source_.next_key();
    if (!key) {
      break;
    }
    peer.batch_keys.push_back(*key);
  }
  const std::span<const std::uint64_t> keys = std::span(peer.batch_keys).subspan(before);
  append_batch(options_.spoken, peer.output, first.what, work_, keys);
  peer.asked.push_back({due_ns, first.key_index, keys.size(), first.what});
  ++under_way_;
}

void load_worker::top_up(connection& peer) {
  while (!exhausted_ && has_room(peer)) {
    issue(peer, now_ns_);
  }
  flush(peer);
}

// Sends all that is due, each to the connection that has been free longest: all are used alike, and
// so are the server's threads that serve them.
void load_worker::send_due() {
  while (!exhausted_ && next_due_ns_ <= static_cast<double>(now_ns_) && !free_.empty()) {
    connection& peer = *free_.front();
    free_.pop_front();
    for (unsigned i = 0; !exhausted_ && i < options_.burst; ++i) {
      issue(peer, static_cast<std::uint64_t>(next_due_ns_));
    }
    next_due_ns_ += interval_ns_;
    peer.in_free_list = has_room(peer);
    if (peer.in_free_list) free_.push_back(&peer);
    flush(peer);
  }
}

void load_worker::flush(connection& peer) {
  if (peer.output_sent < peer.output.size()) {
    const ssize_t sent = send(peer.fd, peer.output.data() + peer.output_sent,
                              peer.output.size() - peer.output_sent, MSG_NOSIGNAL);
    if (sent > 0) {
      peer.output_sent += static_cast<std::size_t>(sent);
    } // other errors show up when reading
  }
  const bool left = peer.output_sent < peer.output.size();
  if (!left) {
    peer.output.clear();
    peer.output_sent = 0;
  }
  if (left != peer.waits_to_write) {
    watch(peer, EPOLL_CTL_MOD, left);
  }
}

void load_worker::record_latency(const pending& asked) {
  const std::uint64_t took = now_ns_ > asked.due_ns ? now_ns_ - asked.due_ns : 0;
  ++result_.requests;
  if (took > std::max(result_.gets.max_ns(), result_.others.max_ns())) {
    result_.worst_after = result_.requests;
  }
  (asked.what == operation::get ? result_.gets : result_.others).record(took);
}

// Accounts for the reply to the oldest request of the connection. Returns its bytes; 0: incomplete.
std::size_t load_worker::take_reply(connection& peer, std::string_view input) {
  const pending& asked = peer.asked.front();
  const reply got = read_reply(options_.spoken, input, asked.what);
  if (got.bytes == 0) {
    return 0;
  }
  record_latency(asked);
  switch (got.kind) {
  case reply_kind::ok:
    ++result_.ok;
    break;
  case reply_kind::miss:
    ++result_.misses;
    if (options_.read_through && asked.what == operation::get) {
      peer.missed.push_back(asked.key_index);
    }
    break;
  case reply_kind::refused:
    ++result_.refused;
    break;
  case reply_kind::error:
    ++result_.errors;
    break;
  }
  if (options_.verify && got.kind == reply_kind::ok && asked.what == operation::get &&
      !holds_value(options_.spoken, got.body, work_.value_of(asked.key_index))) {
    ++result_.wrong_values;
  }
  return got.bytes;
}

std::size_t load_worker::take_batch_reply(connection& peer, std::string_view input) {
  const pending& asked = peer.asked.front();
  const auto keys = std::span(peer.batch_keys).subspan(peer.batch_keys_used, asked.keys);
  const batch_reply got =
      read_batch(options_.spoken, input, asked.what, work_, keys, options_.verify);
  if (got.bytes == 0) {
    return 0;
  }
  record_latency(asked);
  result_.ok += got.ok;
  result_.misses += got.misses;
  result_.refused += got.refused;
  result_.errors += got.errors;
  result_.wrong_values += got.wrong_values;
  peer.batch_keys_used += asked.keys;
  return got.bytes;
}

void load_worker::on_readable(connection& peer) {
  const ssize_t got = recv(peer.fd, peer.input.data() + peer.input_filled,
                           peer.input.size() - peer.input_filled, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) {
      reconnect(peer);
    }
    return;
  }
  now_ns_ = clock_ns();
  peer.input_filled += static_cast<std::size_t>(got);
  std::size_t used = 0;
  while (!peer.asked.empty()) {
    const std::string_view rest(peer.input.data() + used, peer.input_filled - used);
    if (rest.empty()) {
      break;
    }
    const std::size_t bytes =
        options_.batch > 0 ? take_batch_reply(peer, rest) : take_reply(peer, rest);
    if (bytes == 0) {
      break;
    }
    peer.asked.pop_front();
    --under_way_;
    used += bytes;
  }
  const auto keys_used = static_cast<std::ptrdiff_t>(std::exchange(peer.batch_keys_used, 0));
  peer.batch_keys.erase(peer.batch_keys.begin(), peer.batch_keys.begin() + keys_used);
  peer.input_filled -= used;
  std::copy_n(peer.input.data() + used, peer.input_filled, peer.input.data());
  if (peer.input_filled == peer.input.size()) {
    peer.input.resize(peer.input.size() * 2);
  }
}

int load_worker::wait(std::uint64_t stop_ns) {
  std::uint64_t until = stop_ns == no_stop ? now_ns_ + second_ns : stop_ns;
  if (interval_ns_ > 0.0 && !free_.empty() && !exhausted_) {
    until = std::min(until, static_cast<std::uint64_t>(next_due_ns_) + 1);
  }
  const std::uint64_t left = until > now_ns_ ? until - now_ns_ : 0;
  const timespec timeout{static_cast<time_t>(left / second_ns),
                         static_cast<long>(left % second_ns)};
  const int ready =
      epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
  now_ns_ = clock_ns();
  return ready;
}

bool load_worker::finished(std::uint64_t stop_ns) const {
  return result_.server_gone || (exhausted_ && under_way_ == 0) || now_ns_ >= stop_ns;
}

load_result load_worker::run() {
  prctl(PR_SET_TIMERSLACK, 1UL); // wake up when due, not 50 us later
  now_ns_ = clock_ns();
  const bool timed = options_.seconds > 0.0;
  const std::uint64_t end_ns =
      timed ? now_ns_ + static_cast<std::uint64_t>(options_.seconds * second_ns) : no_stop;
  const std::uint64_t stop_ns = timed ? end_ns + grace_ns : no_stop;
  const bool open_loop = interval_ns_ > 0.0;
  next_due_ns_ += static_cast<double>(now_ns_);
  for (const auto& peer : connections_) {
    if (open_loop) {
      free_.push_back(peer.get());
      peer->in_free_list = true;
    } else {
      top_up(*peer);
    }
  }
  while (!finished(stop_ns)) {
    if (timed &&
        (open_loop ? next_due_ns_ : static_cast<double>(now_ns_)) >= static_cast<double>(end_ns)) {
      exhausted_ = true; // what is due after the end is not sent; what was due before still is
    }
    if (open_loop) {
      send_due();
    }
    if (finished(stop_ns)) {
      break;
    }
    const int ready = wait(stop_ns);
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      connection& peer = *static_cast<connection*>(event.data.ptr);
      if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
        on_readable(peer);
      }
      if (!open_loop) {
        top_up(peer);
        continue;
      }
      flush(peer);
      if (!peer.in_free_list && has_room(peer)) {
        peer.in_free_list = true;
        free_.push_back(&peer);
      }
    }
  }
  // Whatever is still open counts with the time it has waited so far: it must not vanish.
  for (const auto& peer : connections_) {
    for (const pending& asked : peer->asked) {
      (asked.what == operation::get ? result_.gets : result_.others).record(now_ns_ - asked.due_ns);
      result_.dropped += asked.keys;
    }
  }
  if (open_loop && timed && !result_.server_gone) {
    for (; next_due_ns_ < static_cast<double>(end_ns); next_due_ns_ += interval_ns_) {
      for (unsigned i = 0; i < options_.burst; ++i) {
        result_.others.record(now_ns_ - static_cast<std::uint64_t>(next_due_ns_));
        result_.unsent += std::max(1U, options_.batch);
      }
    }
  }
  return result_;
}

} // namespace kvcache::bench
