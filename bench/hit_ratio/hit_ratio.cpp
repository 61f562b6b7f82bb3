// Which entries go matters: replays read-through traces against the real store and its pickers, and
// against the textbook policies in the same run, and prints a table of hit ratios.
//
//   hit_ratio                 generated workloads
//   hit_ratio TRACE...        files with one key a line
#include <cstdio>
#include <fstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "eviction/reference_policies.hpp"
#include "eviction/replay.hpp"
#include "eviction/workloads.hpp"

namespace {

using namespace kvcache::test;

std::vector<key_id> read_trace(const char* path) {
  std::ifstream in(path);
  std::unordered_map<std::string, key_id> ids;
  std::vector<key_id> sequence;
  for (std::string line; std::getline(in, line);) {
    sequence.push_back(ids.emplace(line, static_cast<key_id>(ids.size())).first->second);
  }
  return sequence;
}

void print_rows(const char* name, const std::vector<key_id>& sequence) {
  const std::size_t unique = count_unique(sequence);
  for (const unsigned share : {1U, 10U, 30U}) {
    const std::size_t entries = unique * share / 100;
    if (entries == 0) continue;
    const double fifo = simulate(list_policy(entries, list_policy::order::fifo), sequence);
    const double exact_lru = simulate(list_policy(entries, list_policy::order::lru), sequence);
    const double clock_1 = simulate(clock_policy(entries, 1), sequence);
    const double clock_2 = simulate(clock_policy(entries, 3), sequence);
    std::printf("| %s | %u %% | %zu | %.2f | %.2f | **%.2f** | %.2f | %.2f | **%.2f** |\n", name,
                share, entries, fifo, exact_lru, replay_lru(entries, sequence), clock_1, clock_2,
                replay_clock(entries, sequence));
    std::fflush(stdout);
  }
}

void print_generated() {
  print_rows("zipf 0.9, shifting", zipf_with_shifts(1'000'000, 0.9, 5'000'000, 500'000));
  print_rows("zipf 0.9, shifting fast", zipf_with_shifts(100'000, 0.9, 2'000'000, 20'000));
  print_rows("zipf 0.7", zipf_with_shifts(200'000, 0.7, 3'000'000, 3'000'000));
  print_rows("zipf 1.1 with scans", zipf_with_scans(100'000, 1.1, 2'000'000, 20'000, 10'000, 1));
  print_rows("sessions", sessions(20'000, 4, 2'000'000, 2));
  print_rows("sessions and zipf", interleaved(sessions(5'000, 4, 1'000'000, 3),
                                              zipf_with_shifts(100'000, 0.9, 1'000'000, 100'000)));
  print_rows("loop and zipf", interleaved(loop(50'000, 1'000'000),
                                          zipf_with_shifts(100'000, 0.9, 1'000'000, 1'000'000)));
  print_rows("loop", loop(100'000, 1'000'000));
}

} // namespace

int main(int argc, char** argv) {
  std::printf("| trace | of the unique keys | entries | FIFO | LRU, exact | ours, LRU tier "
              "| CLOCK 1-bit | CLOCK 2-bit | ours, --max-entries |\n"
              "|---|---|---|---|---|---|---|---|---|\n");
  if (argc == 1) {
    print_generated();
  }
  for (int i = 1; i < argc; ++i) {
    const std::vector<key_id> sequence = read_trace(argv[i]);
    if (sequence.empty()) {
      std::fprintf(stderr, "hit_ratio: no keys in %s\n", argv[i]);
      return 1;
    }
    const std::string path = argv[i];
    print_rows(path.substr(path.rfind('/') + 1).c_str(), sequence);
  }
  return 0;
}
