#include "server/server.hpp"

#include <boost/asio/post.hpp>

#include <cassert>
#include <chrono>
#include <new>
#include <utility>

#include "server/out_of_memory.hpp"

namespace kvcache::http {

using std::chrono::milliseconds;

server::server(server_options options, const endpoint_table& endpoints, cache& store,
               const coarse_clock& clock, server_services services, observe::registry& counters,
               unique_fd passed_socket)
    : options_(std::move(options)),
      services_(std::move(services)),
      faults_(options_.limits),
      shared_{store, clock, options_, faults_, endpoints, services_, draining_},
      budget_(options_.max_buffer_bytes),
      workers_(make_workers(counters)),
      begun_(static_cast<std::ptrdiff_t>(workers_.size())),
      listener_(options_, faults_, workers_, counters.worker(0), std::move(passed_socket)) {}

server::~server() {
  stop();
  wait();
  background_.join();
  background_beside_.join();
}

void server::run_in_background(std::function<void()> job) {
  const bool is_first = background_jobs_.fetch_add(1) == 0;
  try {
    boost::asio::post(is_first ? background_ : background_beside_, [this, job = std::move(job)] {
      job();
      background_jobs_.fetch_sub(1);
    });
  } catch (const std::bad_alloc&) {
    background_jobs_.fetch_sub(1);
    throw;
  }
}

std::vector<std::unique_ptr<worker>> server::make_workers(observe::registry& counters) {
  assert(options_.threads > 0 && counters.worker_count() >= options_.threads);
  std::vector<std::unique_ptr<worker>> made;
  for (unsigned i = 0; i < options_.threads; ++i)
    made.push_back(std::make_unique<worker>(
        shared_, options_, services_, counters.worker(i), budget_,
        [this](std::function<void()> job) { run_in_background(std::move(job)); }, i));
  return made;
}

void server::start(std::function<void()> ended) {
  ended_ = std::move(ended);
  running_ = workers_.size();
  for (const auto& each : workers_)
    threads_.emplace_back([this, &serve = *each] {
      serve.run(begun_);
      if (running_.fetch_sub(1) == 1 && ended_) ended_();
    });
  begun_.wait(); // threads have the memory to begin before peers are accepted
  listener_.start();
}

void server::begin_drain() noexcept {
  if (draining_.exchange(true)) return;
  const auto end = drain_clock::now() + milliseconds{options_.drain_timeout_ms};
  until_there_is_memory([this, end] {
    listener_.stop(milliseconds{options_.drain_delay_ms}, end, [this, end] {
      for (const auto& each : workers_)
        until_there_is_memory([&each, end] { each->begin_drain(end); });
    });
  });
}

void server::stop() noexcept {
  draining_ = true;
  until_there_is_memory([this] { listener_.close(); });
  for (const auto& each : workers_) until_there_is_memory([&each] { each->stop(); });
}

void server::set_caps(const load_caps& caps) noexcept {
  listener_.set_caps(caps);
  budget_.set_limit_bytes(caps.buffer_bytes, caps.buffer_bytes_most);
}

std::size_t server::connection_count() const noexcept {
  std::size_t sum = 0;
  for (const auto& each : workers_) sum += each->connection_count();
  return sum;
}

std::size_t server::holder_count() const noexcept {
  std::size_t sum = 0;
  for (const auto& each : workers_) sum += each->holder_count();
  return sum;
}

void server::wait() {
  for (std::thread& each : threads_)
    if (each.joinable()) each.join();
}

} // namespace kvcache::http
