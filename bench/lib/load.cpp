// The load generator of the benchmarks: `bench_load --help`. Prints one JSON object on stdout.
#include <CLI/CLI.hpp>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "load_worker.hpp"

namespace {

using namespace kvcache::bench;

constexpr std::array<double, 9> printed_percentiles{50, 75, 90, 95, 99, 99.9, 99.95, 99.99, 99.999};

void print_latencies(const char* name, const histogram& latencies) {
  std::printf("\"%s\": {\"count\": %llu", name, static_cast<unsigned long long>(latencies.count()));
  for (const double percent : printed_percentiles) {
    std::printf(", \"p%g\": %.1f", percent,
                static_cast<double>(latencies.percentile_ns(percent)) / 1000.0);
  }
  std::printf(", \"max\": %.1f}", static_cast<double>(latencies.max_ns()) / 1000.0);
}

void print_result(const load_result& result, double seconds, double cpu_seconds) {
  const auto count = [](const char* name, std::uint64_t value) {
    std::printf("\"%s\": %llu, ", name, static_cast<unsigned long long>(value));
  };
  histogram all = result.gets;
  all.merge(result.others);
  const std::uint64_t answered = result.ok + result.misses + result.refused + result.errors;
  std::printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"rate\": %.1f, ", seconds, cpu_seconds,
              static_cast<double>(answered) / seconds);
  count("answered", answered);
  count("requests", result.requests);
  count("ok", result.ok);
  count("misses", result.misses);
  count("refused", result.refused);
  count("errors", result.errors);
  count("wrong_values", result.wrong_values);
  count("dropped", result.dropped);
  count("unsent", result.unsent);
  count("reconnects", result.reconnects);
  count("worst_after", result.worst_after);
  std::printf("\"server_gone\": %s, \"latency_us\": {", result.server_gone ? "true" : "false");
  print_latencies("all", all);
  std::printf(", ");
  print_latencies("get", result.gets);
  std::printf(", ");
  print_latencies("other", result.others);
  std::printf("}}\n");
}

double cpu_seconds_used() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void raise_open_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Whoever measures the processor time of the server looks at it while we wait for a line.
void wait_for_line() {
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
}

void run(const load_options& options, const workload& work) {
  std::vector<std::unique_ptr<load_worker>> workers;
  for (unsigned i = 0; i < options.threads; ++i) {
    workers.push_back(std::make_unique<load_worker>(options, work, i));
  }
  if (options.waits) {
    std::puts("connected");
    wait_for_line();
  }
  std::vector<load_result> results(options.threads);
  const double cpu_before = cpu_seconds_used();
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.threads; ++i) {
      threads.emplace_back([&, i] { results[i] = workers[i]->run(); });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  for (unsigned i = 1; i < options.threads; ++i) {
    results.front().merge(results[i]);
  }
  print_result(results.front(), took.count(), cpu_seconds_used() - cpu_before);
  if (options.waits) {
    wait_for_line();
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loads a cache on 127.0.0.1 and prints what it measured as JSON (times in us)."};
  load_options options;
  workload_options wanted;
  const std::map<std::string, protocol> protocols{{"http", protocol::http},
                                                  {"redis", protocol::redis},
                                                  {"memcached", protocol::memcached},
                                                  {"webdis", protocol::webdis}};
  const std::map<std::string, key_order> orders{{"sequential", key_order::sequential},
                                                {"shuffled", key_order::shuffled},
                                                {"random", key_order::random},
                                                {"listed", key_order::listed}};
  app.add_option("--port", options.port)->required();
  app.add_option("--protocol", options.spoken)->transform(CLI::CheckedTransformer(protocols));
  app.add_option("--threads", options.threads)->check(CLI::Range(1U, 64U));
  app.add_option("--connections", options.connections, "of all threads together");
  app.add_option("--window", options.window, "requests under way on one connection");
  app.add_option(
      "--batch", options.batch,
      "keys of each request: POST /batch, MGET and MSET, multi-get and ms; the counts and "
      "the rate are of keys, the latencies of requests; 0: plain requests of one key");
  app.add_option("--seconds", options.seconds, "0: until every key was asked for once");
  app.add_option("--rate", options.rate, "open loop: requests a second; 0: closed loop");
  app.add_option("--burst", options.burst, "with --rate: requests sent at once on one connection")
      ->check(CLI::PositiveNumber);
  app.add_flag("--wait", options.waits, "say `connected` and wait for a line, before and after");
  app.add_flag("--verify", options.verify, "hits must carry the right value");
  app.add_option("--first-key", wanted.first_key);
  app.add_option("--keys", wanted.keys);
  app.add_option("--key-bytes", wanted.key_bytes);
  app.add_option("--value-bytes", wanted.value_bytes_min);
  const auto* longest =
      app.add_option("--value-bytes-max", wanted.value_bytes_max, "default: as --value-bytes");
  app.add_option("--get-share", wanted.get_share, "0 … 1")->check(CLI::Range(0.0, 1.0));
  app.add_flag("--erase", wanted.erase, "erase instead of put");
  app.add_option("--order", wanted.order)->transform(CLI::CheckedTransformer(orders));
  app.add_option("--list", wanted.list, "of --order listed: a file of key indices, 32 bits each");
  app.add_flag("--read-through", options.read_through, "put what a GET missed");
  app.add_option("--requests", wanted.requests);
  app.add_option("--seed", wanted.seed);
  CLI11_PARSE(app, argc, argv);
  if (longest->count() == 0) {
    wanted.value_bytes_max = wanted.value_bytes_min;
  }
  try {
    raise_open_file_limit();
    run(options, workload(wanted));
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "bench_load: %s\n", fault.what());
    return 1;
  }
}
