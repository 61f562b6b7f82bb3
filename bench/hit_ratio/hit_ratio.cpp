// Which entries go matters: replays read-through traces against the real store and its pickers, and
// against the textbook policies in the same run, and prints a table of hit ratios.
//
//   hit_ratio                 generated workloads, medians of five seeds
//   hit_ratio TRACE...        files with one key a line
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "eviction/reference_policies.hpp"
#include "eviction/replay.hpp"
#include "eviction/workloads.hpp"

namespace {

using namespace kvcache::test;

// The hit ratios of one sequence, in the order of the columns.
std::vector<double> replay_all(std::size_t entries, const std::vector<key_id>& sequence) {
  return {simulate(list_policy(entries, list_policy::order::fifo), sequence),
          simulate(list_policy(entries, list_policy::order::lru), sequence),
          replay_lru(entries, sequence),
          simulate(s3_fifo_policy(entries), sequence),
          simulate(clock_policy(entries, 1), sequence),
          simulate(clock_policy(entries, 3), sequence),
          replay_clock(entries, sequence)};
}
constexpr std::size_t ours_lru = 2;
constexpr std::size_t ours_clock = 6;

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A row for each size: medians over the sequences.
void print_rows(const std::string& name, const std::vector<std::vector<key_id>>& sequences) {
  const std::size_t unique = count_unique(sequences.front());
  for (const unsigned share : {1U, 10U, 30U}) {
    const std::size_t entries = unique * share / 100;
    if (entries == 0) continue;
    std::vector<std::vector<double>> of_each;
    for (const auto& sequence : sequences) of_each.push_back(replay_all(entries, sequence));
    std::printf("| %s | %u %% | %zu |", name.c_str(), share, entries);
    for (std::size_t column = 0; column < of_each.front().size(); ++column) {
      std::vector<double> values;
      for (const auto& of_one : of_each) values.push_back(of_one[column]);
      const char* mark = column == ours_lru || column == ours_clock ? "**" : "";
      std::printf(" %s%.2f%s |", mark, median_of(values), mark);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

template <class Make>
void print_generated(const char* name, Make make) {
  std::vector<std::vector<key_id>> sequences;
  for (unsigned seed = 1; seed <= 5; ++seed) sequences.push_back(make(seed));
  print_rows(name, sequences);
}

void print_all_generated() {
  const auto zipf_of = [](double skew, std::size_t accesses_per_shift) {
    return [=](unsigned seed) {
      return zipf_with_shifts(100'000, skew, 1'000'000, accesses_per_shift, seed);
    };
  };
  const auto all_sessions = [](unsigned seed) { return sessions(10'000, 4, 1'000'000, seed); };
  print_generated("zipf 0.7", zipf_of(0.7, 1'000'000));
  print_generated("zipf 0.9, shifting", zipf_of(0.9, 100'000));
  print_generated("zipf 0.9, shifting fast", zipf_of(0.9, 20'000));
  print_generated("zipf 1.1, scans", [](unsigned seed) {
    return zipf_with_scans(50'000, 1.1, 1'000'000, 20'000, 10'000, seed);
  });
  print_generated("sessions", all_sessions);
  print_generated("sessions and zipf", [&](unsigned seed) {
    return interleaved(all_sessions(seed), zipf_of(0.9, 100'000)(seed));
  });
  print_generated("loop and zipf", [&](unsigned seed) {
    return interleaved(loop(50'000, 1'000'000), zipf_of(0.9, 1'000'000)(seed));
  });
  print_rows("loop", {loop(100'000, 1'000'000)});
}

} // namespace

int main(int argc, char** argv) {
  std::printf(
      "| trace | of the unique keys | entries | FIFO | LRU, exact | ours, LRU tier | S3-FIFO "
      "| CLOCK 1-bit | CLOCK 2-bit | ours, --max-entries |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n");
  if (argc == 1) print_all_generated();
  for (int i = 1; i < argc; ++i) {
    const std::vector<key_id> sequence = read_trace(argv[i]);
    if (sequence.empty()) {
      std::fprintf(stderr, "hit_ratio: no keys in %s\n", argv[i]);
      return 1;
    }
    const std::string path = argv[i];
    print_rows(path.substr(path.rfind('/') + 1), {sequence});
  }
  return 0;
}
