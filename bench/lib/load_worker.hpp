// One thread of the load generator: its connections, its share of the work, what it measured.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "batch_protocol.hpp"
#include "histogram.hpp"
#include "protocol.hpp"
#include "workload.hpp"

namespace kvcache::bench {

struct load_options {
  protocol spoken = protocol::http;
  std::uint16_t port = 0;
  unsigned threads = 1;
  unsigned connections = 8;  // of all threads together
  unsigned window = 16;      // requests under way on one connection
  unsigned batch = 0;        // keys of each request, as batch_protocol.hpp; 0: requests of one key
  double seconds = 0.0;      // 0: until the work is done
  double rate = 0.0;         // requests a second, sent when they are due; 0: as fast as answered
  unsigned burst = 1;        // with a rate: requests due, and sent, at once on one connection
  bool waits = false;        // for a line on stdin, before the clock starts and after it stopped
  bool verify = false;       // hits must carry the value that belongs to the key
  bool read_through = false; // what was not there is put next, on the same connection
};

// The histograms are of requests, all counts but `requests` and `reconnects` of keys.
struct load_result {
  histogram gets;
  histogram others;
  std::uint64_t requests = 0; // that were answered
  std::uint64_t ok = 0;
  std::uint64_t misses = 0;
  std::uint64_t refused = 0;
  std::uint64_t errors = 0;
  std::uint64_t wrong_values = 0;
  std::uint64_t dropped = 0; // unanswered when the connection ended, or when time was up
  std::uint64_t unsent = 0;  // due, but no connection was free before time was up
  std::uint64_t reconnects = 0;
  std::uint64_t worst_after = 0; // replies this thread had seen when the worst one came
  bool server_gone = false;

  void merge(const load_result& other);
};

// Belongs to the thread that calls run(). Closed loop: each connection keeps `window` requests
// under way. Open loop (rate > 0): requests are due at a constant rate, whatever the server does,
// and their latency counts from the moment they were due (no coordinated omission): a request that
// finds no free connection waits here, and its waiting counts.
class load_worker {
public:
  load_worker(const load_options& options, const workload& work, unsigned index);
  ~load_worker();
  load_worker(const load_worker&) = delete;
  load_worker& operator=(const load_worker&) = delete;

  load_result run();

private:
  struct pending {
    std::uint64_t due_ns;
    std::uint64_t key_index; // of the first key
    std::size_t keys;
    operation what;
  };
  struct connection;

  bool has_room(const connection& peer) const;
  bool connect(connection& peer);
  void reconnect(connection& peer);
  void watch(connection& peer, int change, bool for_writing);
  void issue(connection& peer, std::uint64_t due_ns);
  void issue_batch(connection& peer, const planned_request& first, std::uint64_t due_ns);
  void top_up(connection& peer);
  void send_due();
  void flush(connection& peer);
  void on_readable(connection& peer);
  std::size_t take_reply(connection& peer, std::string_view input);
  std::size_t take_batch_reply(connection& peer, std::string_view input);
  void record_latency(const pending& asked);
  int wait(std::uint64_t stop_ns);
  bool finished(std::uint64_t stop_ns) const;

  const load_options& options_;
  const workload& work_;
  request_source source_;
  std::vector<std::unique_ptr<connection>> connections_;
  std::deque<connection*> free_; // open loop: those with room in their window, longest first
  std::vector<epoll_event> events_;
  std::string key_;
  load_result result_;
  int epoll_ = -1;
  std::size_t under_way_ = 0;
  std::uint64_t now_ns_ = 0;
  double next_due_ns_ = 0.0;
  double interval_ns_ = 0.0;
  bool exhausted_ = false;
};

} // namespace kvcache::bench
