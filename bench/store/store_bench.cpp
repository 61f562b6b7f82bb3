// How fast the store is in-process, and how much memory an entry takes, beside what one would take
// otherwise: libcuckoo's map of strings (pre-sized: it must not grow under concurrent use) and an
// unordered_map of strings in 64 locked shards. Entries of 20 + 100 bytes; keys and the order of
// the accesses are made before the clock runs. See README.md.
#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include <libcuckoo/cuckoohash_map.hh>

// Under callgrind (see misses) only the operations themselves are counted, and filling the stores
// runs without its instrumentation.
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define RUNNING_ON_VALGRIND false
#endif

#include "kvcache/cache.hpp"

namespace {

constexpr std::size_t key_bytes = 20;
constexpr std::size_t value_bytes = 100;

struct string_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept {
    return std::hash<std::string_view>{}(s);
  }
};

// ---- the contestants: put copies in, get copies out ----

class kvcache_store {
public:
  explicit kvcache_store(std::size_t /*entries*/) {}
  void put(std::string_view key, std::string_view value) { cache_.put(key, value); }
  bool get(std::string_view key, char* to) {
    return cache_.get(key, [to](std::string_view v) { v.copy(to, v.size()); });
  }

private:
  kvcache::cache cache_{kvcache::cache_options{}};
};

class cuckoo_of_strings {
public:
  explicit cuckoo_of_strings(std::size_t entries) : map_(entries * 5 / 4) {}
  void put(std::string_view key, std::string_view value) {
    const bool present = map_.update_fn(key, [value](std::string& v) { v.assign(value); });
    if (!present) map_.insert_or_assign(std::string{key}, std::string{value});
  }
  bool get(std::string_view key, char* to) {
    return map_.find_fn(key, [to](const std::string& v) { v.copy(to, v.size()); });
  }

private:
  libcuckoo::cuckoohash_map<std::string, std::string, string_hash, std::equal_to<>> map_;
};

class sharded_unordered_map {
public:
  explicit sharded_unordered_map(std::size_t /*entries*/) {}
  void put(std::string_view key, std::string_view value) {
    shard& s = shard_of(key);
    const std::lock_guard lock{s.mutex};
    if (const auto found = s.map.find(key); found != s.map.end()) {
      found->second.assign(value);
    } else {
      s.map.emplace(key, value);
    }
  }
  bool get(std::string_view key, char* to) {
    shard& s = shard_of(key);
    const std::lock_guard lock{s.mutex};
    const auto found = s.map.find(key);
    if (found == s.map.end()) return false;
    found->second.copy(to, found->second.size());
    return true;
  }

private:
  static constexpr std::size_t shard_count = 64;
  struct alignas(64) shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::string, string_hash, std::equal_to<>> map;
  };
  shard& shard_of(std::string_view key) { return shards_[string_hash{}(key) >> 58]; }
  std::array<shard, shard_count> shards_;
};

// ---- what they are asked ----

void write_key(char* to, std::size_t number) { // "key-" and 16 digits
  std::string_view{"key-"}.copy(to, 4);
  for (std::size_t i = key_bytes; i-- > 4; number /= 10)
    to[i] = static_cast<char>('0' + number % 10);
}

enum class order { uniform, zipf };

// Keys in the order they are asked for, 2^20 of them, packed one after the other.
std::string make_accesses(std::size_t entries, order how, unsigned seed) {
  constexpr std::size_t count = std::size_t{1} << 20;
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> unit{0.0, 1.0};
  std::string keys(count * key_bytes, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rank = 0;
    if (how == order::uniform) {
      rank = random() % entries;
    } else { // Zipf with exponent 1, by inverting the continuous distribution
      rank = static_cast<std::size_t>(std::pow(static_cast<double>(entries), unit(random))) - 1;
    }
    const std::size_t scattered = rank * 0x9E3779B97F4A7C15U % entries; // no hot neighbours
    write_key(keys.data() + i * key_bytes, scattered);
  }
  return keys;
}

std::size_t resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Filled once for a number of entries and kept until another number or store is asked for.
template <class Store>
class filled {
public:
  static filled& with(std::size_t entries) {
    if (!current_ || current_->entries_ != entries) {
      current_.reset();
      ::malloc_trim(0);
      current_ = std::make_unique<filled>(entries);
    }
    return *current_;
  }
  static void drop() {
    current_.reset();
    ::malloc_trim(0);
  }

  explicit filled(std::size_t entries) : entries_(entries) {
    const std::size_t before = resident_bytes();
    store = std::make_unique<Store>(entries);
    std::array<char, key_bytes> key{};
    const std::string value(value_bytes, 'v');
    for (std::size_t i = 0; i < entries; ++i) {
      write_key(key.data(), i);
      store->put({key.data(), key.size()}, value);
    }
    bytes_per_entry = static_cast<double>(resident_bytes() - before) / static_cast<double>(entries);
  }

  std::unique_ptr<Store> store;
  double bytes_per_entry = 0;

private:
  std::size_t entries_;
  inline static std::unique_ptr<filled> current_;
};

// Counted ones of the first thread, in all runs: a benchmark is run several times until it is long
// enough.
std::int64_t operations_run = 0;

// The modelled caches are empty when the instrumentation starts, so the first operations are not
// counted. They are of the same loop: a second place that calls an operation would keep it from
// being inlined.
constexpr std::size_t uncounted = 50'000;

template <class Store, class Operation>
void run(benchmark::State& state, order how, Operation operation) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  const std::string keys =
      make_accesses(entries, how, static_cast<unsigned>(state.thread_index()) + 1);
  if (state.thread_index() == 0) filled<Store>::with(entries);
  std::size_t at = 0;
  bool whole = true;
  bool counting = false;
  Store* store = nullptr;
  for (auto _ : state) {
    if (store == nullptr) {
      store = filled<Store>::with(entries).store.get(); // after the barrier
      CALLGRIND_START_INSTRUMENTATION;
    }
    if (at == uncounted * key_bytes && !counting) {
      counting = true;
      CALLGRIND_TOGGLE_COLLECT;
    }
    whole = operation(*store, std::string_view{keys.data() + at, key_bytes}) && whole;
    at = at + key_bytes == keys.size() ? 0 : at + key_bytes;
  }
  if (counting) CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_STOP_INSTRUMENTATION;
  if (state.thread_index() == 0 && counting)
    operations_run += state.iterations() - static_cast<std::int64_t>(uncounted);
  if (!whole) state.SkipWithError("a key was missed");
  if (state.thread_index() == 0) {
    state.counters["B/entry"] = filled<Store>::with(entries).bytes_per_entry;
  }
}

template <class Store>
void get(benchmark::State& state, order how) {
  std::array<char, value_bytes> to{};
  run<Store>(state, how, [&to](Store& s, std::string_view key) {
    const bool hit = s.get(key, to.data());
    benchmark::DoNotOptimize(to.data());
    return hit;
  });
}

template <class Store>
void put(benchmark::State& state, order how) {
  const std::string value(value_bytes, 'w');
  run<Store>(state, how, [&value](Store& s, std::string_view key) {
    s.put(key, value);
    return true;
  });
}

template <class Store>
void put_new(benchmark::State& state) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  filled<Store>::drop();
  for (auto _ : state) {
    filled<Store> fresh{entries};
    benchmark::DoNotOptimize(fresh.store.get());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// Callgrind is so slow that little more than the uncounted operations would fit.
double least_seconds() { return RUNNING_ON_VALGRIND ? 1.5 : 0.1; }

template <class Store>
void add(const std::string& name, std::int64_t entries) {
  const std::array<std::pair<const char*, order>, 2> orders{
      {{"uniform", order::uniform}, {"zipf", order::zipf}}};
  for (const int threads : {1, 2}) {
    for (const auto& [order_name, how] : orders) {
      benchmark::RegisterBenchmark(("get/" + name + "/" + order_name).c_str(), get<Store>, how)
          ->Arg(entries)
          ->Threads(threads)
          ->UseRealTime()
          ->MinTime(least_seconds());
      benchmark::RegisterBenchmark(("put/" + name + "/" + order_name).c_str(), put<Store>, how)
          ->Arg(entries)
          ->Threads(threads)
          ->UseRealTime()
          ->MinTime(least_seconds());
    }
  }
  benchmark::RegisterBenchmark(("put_new/" + name).c_str(), put_new<Store>)
      ->Arg(entries)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

} // namespace

int main(int argc, char** argv) {
  for (const std::int64_t entries : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) {
    add<kvcache_store>("kvcache", entries);
    add<cuckoo_of_strings>("cuckoohash_map", entries);
    add<sharded_unordered_map>("unordered_map_64", entries);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  std::fprintf(stderr, "%lld operations\n", static_cast<long long>(operations_run));
  benchmark::Shutdown();
}
