// Measures what a restart costs in hits: replays read-through traces against the real store under
// the policy of memory pressure, saves a snapshot, loads it into a new store with a new policy, and
// compares the hit ratio of the next requests with that of a cache that was not restarted.
//
//   bench_restart_order DIRECTORY             generated workloads, medians of three seeds
//   bench_restart_order DIRECTORY TRACE...    files with one key a line
//
// DIRECTORY holds the snapshot. Two more columns show causes: a cache that loses only its ghosts,
// and one that loses only what its policy has learned.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/entity_tagger.hpp"
#include "eviction/lru.hpp"
#include "eviction/replay.hpp"
#include "eviction/workloads.hpp"
#include "snapshot/atomic_file.hpp"
#include "snapshot/block_reader.hpp"
#include "snapshot/file_source.hpp"
#include "snapshot/loader.hpp"
#include "snapshot/saver.hpp"

namespace {

using namespace kvcache;
using namespace kvcache::test;

constexpr std::size_t requests_after = 1'000'000; // of a trace at most the last half
constexpr snapshot::moment any_moment{.unix_ms = 1'700'000'000'000, .now = 0};

// A store that evicts by the policy of memory pressure beyond a fixed number of entries.
class limited_store {
public:
  explicit limited_store(std::size_t entries_max) : max_(entries_max), entries_(replay_options(0)) {
    entries_.set_epoch_accesses(epoch_accesses_for(entries_max));
    lose_ghosts();
    forget();
  }

  double replay(const std::vector<key_id>& sequence) {
    return hit_percent(entries_, sequence, [this] {
      while (entries_.size() > max_ && policy_->evict_one(eviction_cause::lru).bytes != 0) {
      }
    });
  }

  void lose_ghosts() { entries_.ghosts().resize(max_); }
  void forget() { policy_ = std::make_unique<lru>(entries_, 1); }

  void save(const std::string& path) {
    snapshot::atomic_file file{path};
    const auto result =
        snapshot::save(entries_, file, {policy_->ranks(), policy_->experience(), any_moment, 1});
    if (result.error != 0) throw std::runtime_error{"the snapshot was not saved"};
  }

  // Up to so many entries: the daemon loads up to the pressure mark, above which use settles.
  void load(const std::string& path, std::size_t most) {
    snapshot::file_source file;
    bool missing = false;
    if (!file.open(path, missing).empty() || missing) throw std::runtime_error{"no snapshot"};
    snapshot::block_reader reader{file};
    const snapshot::decoded_header header = reader.read_header();
    if (header.fault != snapshot::header_fault::none || !entries_.begin_loading(most))
      throw std::runtime_error{"the snapshot cannot be loaded"};
    snapshot::loader loader{
        {entries_, tags_, any_moment, [&] { return entries_.size() < most ? UINT64_MAX : 0; },
         [&](const hit_density::experience& earlier) { policy_->adopt(earlier); }},
        reader};
    loader.run();
    entries_.end_loading();
  }

  std::size_t size() const noexcept { return entries_.size(); }

private:
  const std::size_t max_;
  const http::entity_tagger tags_;
  store entries_;
  std::unique_ptr<lru> policy_;
};

struct parts {
  std::vector<key_id> before;
  std::vector<key_id> after;
};

parts divide(const std::vector<key_id>& sequence) {
  const std::size_t after = std::min(requests_after, sequence.size() / 2);
  const auto middle = sequence.end() - static_cast<std::ptrdiff_t>(after);
  return {{sequence.begin(), middle}, {middle, sequence.end()}};
}

constexpr std::size_t column_count = 5;
// Hits in percent after the restart: of a cache that continued; of one that was restarted; of one
// that was restarted and loaded 97 %; of one without ghosts; of one that learns anew.
using columns = std::array<double, column_count>;

columns replay_all(std::size_t entries, const parts& p, const std::string& path) {
  const auto after_change = [&](auto change) {
    limited_store cache{entries};
    cache.replay(p.before);
    change(cache);
    return cache.replay(p.after);
  };
  const auto restarted = [&](std::size_t most) {
    limited_store cache{entries};
    cache.load(path, most);
    return cache.replay(p.after);
  };
  columns hits{};
  hits[0] = after_change([](limited_store&) {});
  {
    limited_store cache{entries};
    cache.replay(p.before);
    cache.save(path);
  }
  hits[1] = restarted(entries + entries / 10);
  hits[2] = restarted(entries * 97 / 100);
  hits[3] = after_change([](limited_store& cache) { cache.lose_ghosts(); });
  hits[4] = after_change([](limited_store& cache) { cache.forget(); });
  return hits;
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A row for each size: medians over the sequences, of the differences to the cache that continued.
void print_rows(const std::string& name, const std::vector<std::vector<key_id>>& sequences,
                const std::string& path) {
  const std::size_t unique = count_unique(sequences.front());
  for (const unsigned share : {1U, 10U, 30U}) {
    const std::size_t entries = unique * share / 100;
    if (entries == 0) continue;
    std::array<std::vector<double>, column_count> found;
    std::size_t after = 0;
    for (const auto& sequence : sequences) {
      const parts p = divide(sequence);
      after = p.after.size();
      const columns hits = replay_all(entries, p, path);
      found[0].push_back(hits[0]);
      for (std::size_t i = 1; i < hits.size(); ++i) found[i].push_back(hits[i] - hits[0]);
    }
    std::printf("| %s | %u %% | %zu | %zu |", name.c_str(), share, entries, after);
    for (const auto& values : found) std::printf(" %.3f |", median_of(values));
    std::printf("\n");
    std::fflush(stdout);
  }
}

template <class Make>
void print_generated(const char* name, const std::string& path, Make make) {
  std::vector<std::vector<key_id>> sequences;
  for (unsigned seed = 1; seed <= 3; ++seed) sequences.push_back(make(seed));
  print_rows(name, sequences, path);
}

void print_all_generated(const std::string& path) {
  constexpr std::size_t accesses = 3 * requests_after;
  const auto zipf_of = [](std::size_t keys, double skew, std::size_t accesses_per_shift,
                          std::size_t count) {
    return [=](unsigned seed) {
      return zipf_with_shifts(keys, skew, count, accesses_per_shift, seed);
    };
  };
  print_generated("zipf 0.7", path, zipf_of(100'000, 0.7, accesses, accesses));
  print_generated("zipf 0.9, a million keys", path, zipf_of(1'000'000, 0.9, accesses, accesses));
  print_generated("zipf 0.9, shifting", path, zipf_of(100'000, 0.9, 100'000, accesses));
  print_generated("zipf 0.9, shifting fast", path, zipf_of(100'000, 0.9, 20'000, accesses));
  print_generated("zipf 1.1, scans", path, [](unsigned seed) {
    return zipf_with_scans(50'000, 1.1, accesses, 20'000, 10'000, seed);
  });
  print_generated("sessions", path,
                  [](unsigned seed) { return sessions(10'000, 4, accesses, seed); });
  print_generated("sessions and zipf", path, [&](unsigned seed) {
    return interleaved(sessions(10'000, 4, accesses / 2, seed),
                       zipf_of(100'000, 0.9, 100'000, accesses / 2)(seed));
  });
  print_generated("loop and zipf", path, [&](unsigned seed) {
    return interleaved(loop(50'000, accesses / 2),
                       zipf_of(100'000, 0.9, accesses, accesses / 2)(seed));
  });
  print_rows("loop", {loop(100'000, accesses)}, path);
}

int run(std::span<char*> arguments) {
  if (arguments.empty()) {
    std::fprintf(stderr, "bench_restart_order: a directory is required, for the snapshot\n");
    return 2;
  }
  const std::string path = std::string{arguments[0]} + "/snapshot";
  std::printf(
      "| trace | of the unique keys | entries | requests after | hits, no restart | restart "
      "| restart, 97 %% loaded | ghosts lost | learning lost |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  if (arguments.size() == 1) print_all_generated(path);
  for (char* const trace : arguments.subspan(1)) {
    const std::vector<key_id> sequence = read_trace(trace);
    if (sequence.empty()) {
      std::fprintf(stderr, "bench_restart_order: no keys in %s\n", trace);
      return 1;
    }
    const std::string name = trace;
    print_rows(name.substr(name.rfind('/') + 1), {sequence}, path);
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(std::span{argv, static_cast<std::size_t>(argc)}.subspan(1));
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "bench_restart_order: %s\n", fault.what());
    return 1;
  }
}
