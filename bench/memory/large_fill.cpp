// Fills a cache with entries of one size until a part of the memory that applies to it is in use,
// looks up every entry, and prints what it found as JSON. In-process: over HTTP it would take
// hours.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kvcache/limited_cache.hpp"

namespace {

constexpr std::size_t number_chars = 10;
constexpr std::size_t entries_per_check = 1024; // of the memory in use

struct settings {
  std::size_t key_bytes = 20;
  std::size_t value_bytes = 10;
  unsigned percent = 65;
  unsigned threads = 2;
};

// A text that begins with a number, of ten digits.
class numbered_text {
public:
  explicit numbered_text(std::size_t bytes) : text_(bytes, 'x') {}
  std::string_view of(std::uint64_t number) noexcept {
    for (std::size_t i = number_chars; i-- > 0; number /= 10) {
      text_[i] = static_cast<char>('0' + number % 10);
    }
    return text_;
  }

private:
  std::string text_;
};

class filled_cache {
public:
  explicit filled_cache(const settings& s) : settings_(s) {}

  // Puts entries until so much is in use, or one is evicted or refused.
  void fill() {
    run_threads([this] {
      numbered_text key{settings_.key_bytes};
      numbered_text value{settings_.value_bytes};
      while (!is_filled()) {
        for (std::size_t i = 0; i < entries_per_check; ++i) {
          const std::uint64_t number = put_.fetch_add(1, std::memory_order_relaxed);
          if (cache_.entries().put(key.of(number), value.of(number)) !=
              kvcache::put_outcome::inserted) {
            refused_.fetch_add(1, std::memory_order_relaxed);
          }
        }
      }
    });
  }

  void look_up_all() {
    std::atomic<std::uint64_t> next{0};
    run_threads([this, &next] {
      numbered_text key{settings_.key_bytes};
      numbered_text value{settings_.value_bytes};
      std::uint64_t found = 0;
      for (;;) {
        const std::uint64_t first = next.fetch_add(entries_per_check, std::memory_order_relaxed);
        if (first >= put_) break;
        const std::uint64_t end = std::min<std::uint64_t>(first + entries_per_check, put_);
        for (std::uint64_t number = first; number < end; ++number) {
          cache_.entries().peek(key.of(number), [&](std::string_view stored) {
            found += stored == value.of(number) ? 1 : 0;
          });
        }
      }
      found_.fetch_add(found, std::memory_order_relaxed);
    });
  }

  void print(double fill_seconds, double look_up_seconds) {
    const kvcache::cache_stats stats = cache_.entries().stats();
    const kvcache::memory_reading reading = cache_.status().reading;
    std::cout << "{\"entries\":" << put_ << ",\"found\":" << found_ << ",\"refused\":" << refused_
              << ",\"evicted\":" << evicted() << ",\"held_bytes\":" << stats.held_bytes
              << ",\"index_bytes\":" << stats.index_bytes
              << ",\"used_bytes\":" << reading.used_bytes
              << ",\"limit_bytes\":" << reading.limit_bytes
              << ",\"growth_step_us\":" << stats.longest_growth_step_ns / 1000
              << ",\"fill_seconds\":" << fill_seconds << ",\"look_up_seconds\":" << look_up_seconds
              << "}\n";
  }

private:
  bool is_filled() {
    const kvcache::memory_reading reading = cache_.status().reading;
    return reading.used_bytes >= reading.limit_bytes / 100 * settings_.percent ||
           refused_.load(std::memory_order_relaxed) != 0 || evicted() != 0;
  }
  std::uint64_t evicted() {
    const auto counts = cache_.entries().stats().evictions;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }
  template <class Work>
  void run_threads(Work work) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < settings_.threads; ++i) threads.emplace_back(work);
    for (std::thread& each : threads) each.join();
  }

  const settings settings_;
  kvcache::limited_cache cache_;
  std::atomic<std::uint64_t> put_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> found_{0};
};

template <class Work>
double seconds_of(Work work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

} // namespace

int main(int argc, char** argv) {
  settings s;
  CLI::App app{"Fills a cache to a part of the memory, and looks up every entry"};
  app.add_option("--key-bytes", s.key_bytes)->check(CLI::Range(number_chars, std::size_t{256}));
  app.add_option("--value-bytes", s.value_bytes)
      ->check(CLI::Range(number_chars, std::size_t{1} << 20));
  app.add_option("--percent", s.percent)->check(CLI::Range(1, 69));
  app.add_option("--threads", s.threads)->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  filled_cache cache{s};
  const double fill_seconds = seconds_of([&] { cache.fill(); });
  const double look_up_seconds = seconds_of([&] { cache.look_up_all(); });
  cache.print(fill_seconds, look_up_seconds);
  return 0;
}
