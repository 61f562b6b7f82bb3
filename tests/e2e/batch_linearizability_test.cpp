// Eight clients send batches of gets, puts, conditional puts, deletes and increments of the same
// keys, also while entries are evicted. The operations of a batch are atomic each, not together:
// the history of each key must be that of a register, or of a counter, that may lose its value.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "e2e/binary.hpp"
#include "e2e/register_history.hpp"

namespace kvcache::test {
namespace {

using kind = operation::kind;
using presence = operation::presence;
using refusal = operation::refusal;
using nlohmann::json;

TEST(counter_history, rejects_sums_that_are_off_by_one) {
  const auto incr = [](std::uint64_t sum, std::uint64_t called) {
    return operation{.what = kind::incr, .value = sum, .called = called, .returned = called + 2};
  };
  const auto has_order = [](std::initializer_list<operation> done, losses allowed) {
    register_history all{done.size()};
    std::size_t client = 0;
    for (const operation& each : done) all.add(client++, each);
    return all.has_order(allowed);
  };
  EXPECT_TRUE(has_order({incr(2, 1), incr(1, 1), incr(3, 2)}, losses::none));
  EXPECT_FALSE(has_order({incr(1, 1), incr(1, 1)}, losses::none)); // one is lost
  EXPECT_FALSE(has_order({incr(1, 1), incr(3, 2)}, losses::none)); // one is counted twice
  EXPECT_FALSE(has_order({incr(2, 1), incr(1, 4)}, losses::none)); // in the wrong order
  EXPECT_TRUE(has_order({incr(1, 1), incr(1, 4)}, losses::at_any_time));
  EXPECT_FALSE(has_order({incr(1, 1), incr(3, 4)}, losses::at_any_time));
}

constexpr std::size_t clients = 8;
constexpr std::size_t phases = 30;
constexpr std::size_t registers_per_phase = 4;
constexpr std::size_t counters_per_phase = 2;
constexpr std::size_t keys_per_phase = registers_per_phase + counters_per_phase;
constexpr std::size_t batches_per_phase = 6; // of each client
constexpr std::size_t most_operations = 12;  // of a batch

bool is_counter(std::size_t key) { return key % keys_per_phase >= registers_per_phase; }
std::string name_of(std::size_t key) { return "key" + std::to_string(key); }

using history = std::vector<std::pair<std::size_t, operation>>; // with their keys

class client {
public:
  client(const server_process& server, std::size_t number, std::size_t fillers,
         std::atomic<std::uint64_t>& time)
      : connection_(server.connect()),
        number_(number),
        fillers_(fillers),
        time_(time),
        random_(number) {}

  history run() {
    for (std::size_t phase = 0; phase < phases; ++phase)
      for (std::size_t i = 0; i < batches_per_phase; ++i) send_batch(phase);
    return std::move(done_);
  }

private:
  std::uint64_t new_value() { return ++written_ * clients + number_; }

  operation pick(std::size_t key) {
    operation op;
    if (is_counter(key)) {
      op.what = random_() % 4 == 0 ? kind::get : kind::incr;
      return op;
    }
    op.what = static_cast<kind>(random_() % 6);
    const auto seen = seen_.find(key);
    if (op.what == kind::swap || op.what == kind::erase_if) {
      if (seen == seen_.end())
        op.what = kind::get;
      else
        op.expected = seen->second;
    }
    if (op.what == kind::put || op.what == kind::create || op.what == kind::swap)
      op.value = new_value();
    return op;
  }

  static json to_json(std::size_t key, const operation& op) {
    const std::string value = std::to_string(op.value);
    const std::string expected = std::to_string(op.expected);
    json made{{"key", name_of(key)}};
    const auto add = [&](std::string_view name, json members) {
      made["op"] = name;
      made.update(members);
    };
    switch (op.what) {
    case kind::get:
      add("get", json::object());
      break;
    case kind::put:
      add("put", {{"value", value}});
      break;
    case kind::create:
      add("put", {{"value", value}, {"if", "absent"}});
      break;
    case kind::swap:
      add("put", {{"value", value}, {"if_value", expected}});
      break;
    case kind::erase:
      add("delete", json::object());
      break;
    case kind::erase_if:
      add("delete", {{"if_value", expected}});
      break;
    case kind::incr:
      add("incr", {{"initial", 0}});
      break;
    }
    return made;
  }

  void send_batch(std::size_t phase) {
    std::vector<std::pair<std::size_t, operation>> batch;
    json ops = json::array();
    for (std::size_t i = 1 + random_() % most_operations; i != 0; --i) {
      const std::size_t key = phase * keys_per_phase + random_() % keys_per_phase;
      batch.emplace_back(key, pick(key));
      ops.push_back(to_json(key, batch.back().second));
    }
    for (std::size_t i = 0; i < fillers_; ++i)
      ops.push_back(
          {{"op", "put"}, {"key", "filler" + std::to_string(new_value())}, {"value", ""}});
    const std::uint64_t called = ++time_;
    const http_reply reply = connection_.ask(post_request("/batch", json{{"ops", ops}}.dump()));
    const std::uint64_t returned = ++time_;
    if (reply.status != 200) throw std::runtime_error(reply.head + reply.body);
    const json results = json::parse(reply.body)["results"];
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto& [key, op] = batch[i];
      op.called = called;
      op.returned = returned;
      note(key, op, results.at(i));
    }
  }

  void note(std::size_t key, operation& op, const json& result) {
    const int code = result["code"].get<int>();
    if (code == 503) return; // had no effect, for lack of memory
    const bool is_erasure = op.what == kind::erase || op.what == kind::erase_if;
    if (code == 412) {
      op.refused = refusal::differs;
    } else if (code == 404 && op.what == kind::erase_if) {
      op.refused = refusal::missing;
    } else if (code == 200 && (op.what == kind::get || op.what == kind::incr)) {
      op.value = std::stoull(result["value"].get<std::string>());
    } else if (code != 200 && !(code == 404 && (op.what == kind::get || is_erasure))) {
      throw std::runtime_error(result.dump());
    }
    op.erased = is_erasure && code == 200;
    if (op.value != nothing && code == 200) seen_[key] = op.value;
    done_.emplace_back(key, op);
  }

  raw_client connection_;
  const std::size_t number_;
  const std::size_t fillers_;
  std::atomic<std::uint64_t>& time_;
  std::mt19937_64 random_;
  std::uint64_t written_ = 0;
  std::map<std::size_t, std::uint64_t> seen_; // the last value of each key
  history done_;
};

// The number of keys that have lost a value.
std::size_t expect_registers_and_counters(std::vector<std::string> arguments, std::size_t fillers) {
  running_server server{std::move(arguments)};
  std::atomic<std::uint64_t> time{0};
  std::array<history, clients> histories;
  std::vector<std::thread> threads;
  for (std::size_t c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      try {
        histories[c] = client{server, c, fillers, time}.run();
      } catch (const std::exception& problem) {
        ADD_FAILURE() << problem.what();
      }
    });
  for (std::thread& each : threads) each.join();

  std::vector<register_history> keys(phases * keys_per_phase, register_history{clients});
  std::map<std::pair<kind, bool>, std::size_t> counts; // by kind, and whether it was refused
  for (std::size_t c = 0; c < clients; ++c) {
    for (const auto& [key, op] : histories[c]) {
      keys[key].add(c, op);
      ++counts[{op.what, op.refused != refusal::none}];
    }
  }
  for (const kind of : {kind::create, kind::swap, kind::erase_if}) // else little was tried
    for (const bool refused : {false, true})
      EXPECT_GT((counts[{of, refused}]), 50U) << static_cast<int>(of) << refused;
  EXPECT_GT((counts[{kind::incr, false}]), 1000U);

  std::size_t with_losses = 0;
  for (std::size_t number = 0; number < keys.size(); ++number) {
    EXPECT_TRUE(keys[number].has_order(losses::at_any_time)) << name_of(number);
    if (!keys[number].has_order(losses::none)) ++with_losses;
  }
  return with_losses;
}

TEST(batch_linearizability, each_key_is_a_register_or_a_counter) {
  EXPECT_EQ(expect_registers_and_counters({"--threads", "4"}, 0), 0U);
}

TEST(batch_linearizability, the_same_while_entries_are_evicted) {
  EXPECT_GT(expect_registers_and_counters(
                {"--threads", "2", "--max-entries", "32", "--eviction-interval-ms", "10"}, 3),
            0U);
}

// One winner for each key, and every increment counts, however many clients try at once.
TEST(batch_races, have_one_winner_of_each_key_and_lose_no_increment) {
  running_server server{{"--threads", "4"}};
  constexpr std::size_t keys = 500;
  std::array<std::vector<bool>, clients> won;
  std::vector<std::thread> threads;
  for (std::size_t c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      raw_client connection = server.connect();
      for (std::size_t i = 0; i < keys; i += 50) {
        json ops = json::array();
        for (std::size_t k = i; k < i + 50; ++k) {
          ops.push_back({{"op", "put"}, {"key", name_of(k)}, {"value", "v"}, {"if", "absent"}});
          ops.push_back({{"op", "incr"}, {"key", "sum"}, {"by", 3}, {"initial", 0}});
        }
        const http_reply reply = connection.ask(post_request("/batch", json{{"ops", ops}}.dump()));
        const json results = json::parse(reply.body)["results"];
        for (std::size_t k = 0; k < results.size(); k += 2)
          won[c].push_back(results[k]["code"] == 200);
      }
    });
  for (std::thread& each : threads) each.join();
  for (std::size_t key = 0; key < keys; ++key) {
    std::size_t winners = 0;
    for (const std::vector<bool>& of_client : won) winners += of_client.at(key) ? 1 : 0;
    EXPECT_EQ(winners, 1U) << key;
  }
  const http_reply sum = server.connect().ask(get_request("/get?key=sum"));
  EXPECT_EQ(json::parse(sum.body)["value"], std::to_string(clients * keys * 3));
}

} // namespace
} // namespace kvcache::test
