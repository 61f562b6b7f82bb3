// What is asked of the servers: which keys, in which order, with which values. Everything follows
// from the options and the seed, so that two runs, and two servers, get the same requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace kvcache::bench {

enum class operation : std::uint8_t { get, put, erase };
enum class key_order : std::uint8_t { sequential, shuffled, random, listed };

struct workload_options {
  std::uint64_t first_key = 0;
  std::uint64_t keys = 100'000;
  std::size_t key_bytes = 20;
  std::size_t value_bytes_min = 100; // each key has a length of its own in min … max
  std::size_t value_bytes_max = 100;
  double get_share = 0.0; // of the requests; the rest are puts, or erasures
  bool erase = false;
  key_order order = key_order::sequential;
  std::string list;           // of `listed`: a file of key indices, 32 bits each, as they lie here
  std::uint64_t requests = 0; // 0: no end (random), or each key once, or the list once
  std::uint64_t seed = 1;
};

// Keys and values as text. Immutable, shared by all workers.
class workload {
public:
  explicit workload(const workload_options& options);

  const workload_options& options() const noexcept { return options_; }

  // The key's index at a position of the order; not of random ones. Positions come round again.
  std::uint64_t index_at(std::uint64_t position) const noexcept;
  std::uint64_t positions() const noexcept; // in one round

  // Replaces `out` by "key:000…index", key_bytes long.
  void write_key(std::string& out, std::uint64_t index) const;
  void append_key(std::string& out, std::uint64_t index) const;

  // The value that belongs to a key; valid as long as the workload.
  std::string_view value_of(std::uint64_t index) const noexcept;

private:
  workload_options options_;
  std::vector<std::uint32_t> order_; // empty: sequential, or random
  std::string letters_;
};

struct planned_request {
  operation what = operation::get;
  std::uint64_t key_index = 0;
};

// One worker's share of a workload: every `workers`-th position. Belongs to one thread.
class request_source {
public:
  request_source(const workload& work, unsigned worker, unsigned workers);

  std::optional<planned_request> next();
  std::optional<std::uint64_t> next_key(); // for a request of several keys

private:
  const workload& work_;
  std::uint64_t position_;
  std::uint64_t end_;
  unsigned stride_;
  std::mt19937_64 random_;
};

} // namespace kvcache::bench
