// Never killed, never a needless miss: the real binary under real memory limits.
//
// Needs root and a memory control group. Where REQUIRED_CGROUPS is set in the environment
// (scripts/test sets it where a group can be made) their absence is a failure, elsewhere a skip.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pressure/ballast.hpp"
#include "pressure/bulk_client.hpp"
#include "pressure/limited_server.hpp"
#include "pressure/memory_cgroup.hpp"
#include "pressure/use_record.hpp"
#include "support/server_process.hpp"

namespace kvcache::test {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// Where use settles under endless writes, in percent of the limit.
constexpr use_range settled{68, 75};

// About what an entry costs beside key and value: its header, rounding and the index.
constexpr std::uint64_t overhead_bytes = 44;

std::uint64_t entries_that_fit(std::uint64_t limit_bytes, const numbered_entries& entries) {
  return limit_bytes * 7 / 10 / (entries.mean_bytes() + overhead_bytes);
}

class pressure : public testing::Test {
protected:
  // False: skipped or failed already.
  bool make_group(std::uint64_t limit_bytes) {
    std::string why_not;
    auto made = memory_cgroup::create(limit_bytes, why_not);
    if (!made) {
      give_up(why_not);
      return false;
    }
    group_.emplace(std::move(*made));
    return true;
  }
  bool start(std::uint64_t limit_bytes, std::vector<std::string> arguments = {}) {
    if (!make_group(limit_bytes)) return false;
    start_in_group(std::move(arguments));
    return true;
  }
  void start_in_group(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"--threads", "2"});
    server_.emplace(*group_, std::move(arguments));
  }

  void TearDown() override {
    if (!server_) return;
    EXPECT_EQ(group_->oom_kills(), 0U);
    EXPECT_NO_THROW(server_->look()) << server_->output();
  }

  memory_cgroup& group() { return *group_; }
  limited_server& server() { return *server_; }

  static void give_up(const std::string& why) {
    if (std::getenv("REQUIRED_CGROUPS") != nullptr)
      FAIL() << "no memory group, though one can be made here: " << why;
    else
      GTEST_SKIP() << "SKIPPED: no memory group can be made: " << why;
  }

private:
  std::optional<memory_cgroup> group_;
  std::optional<limited_server> server_; // ends before its group
};

void expect_served(const bulk_result& got) {
  EXPECT_EQ(got.other, 0U);
  EXPECT_EQ(got.corrupt, 0U);
  EXPECT_LE(got.refused * 100, got.total()) << got.refused << " of " << got.total() << " refused";
}

bool has_settled(const limited_server::state& at) { return settled.has(at.use_percent); }

// At 99 of 100 looks, and never further above than by what the connections have on its way: that
// comes and goes between two ticks of the evictor, 64 batches of 16 requests of 1 KiB at most,
// which is 1.6 % of the smallest limit here.
void expect_settled_all_the_time(const use_looks& looks) {
  constexpr std::size_t looks_that_tell = 20;
  constexpr double under_way_percent = 1.6;
  EXPECT_GE(looks.count, looks_that_tell);
  EXPECT_GE(looks.settled * 100, looks.count * 99) << looks.count - looks.settled << " looks out";
  EXPECT_GE(looks.seen.low, settled.low);
  EXPECT_LE(looks.seen.high, settled.high + under_way_percent);
}

// Writes half as much again as fits, and says how the server is once it has settled, or has not.
limited_server::state fill_and_settle(limited_server& server, const numbered_entries& entries,
                                      std::uint64_t fit) {
  expect_served(put_all(server.port(), entries, 0, fit * 3 / 2, 8));
  return server.look_until(has_settled);
}

// Sends requests on a connection of its own for as long as it lives.
class endless_client {
public:
  using batch_of = std::function<bulk_result(bulk_client&)>;
  endless_client(std::uint16_t port, numbered_entries entries, batch_of next)
      : thread_([this, port, entries, next = std::move(next)] {
          try {
            bulk_client client(port, entries);
            while (!ended_) sum_ += next(client);
          } catch (const std::exception& failure) {
            ++sum_.other;
            std::fprintf(stderr, "client: %s\n", failure.what());
          }
        }) {}
  ~endless_client() {
    if (thread_.joinable()) end();
  }
  bulk_result end() {
    ended_ = true;
    thread_.join();
    return sum_;
  }

private:
  std::atomic<bool> ended_{false};
  bulk_result sum_; // the thread's until it has ended
  std::thread thread_;
};

struct writer : endless_client {
  writer(std::uint16_t port, numbered_entries entries, std::uint64_t first)
      : endless_client(port, entries, [at = first](bulk_client& client) mutable {
          constexpr std::uint64_t batch = 4096;
          return client.put(std::exchange(at, at + batch), batch);
        }) {}
};

struct reader : endless_client {
  reader(std::uint16_t port, numbered_entries entries, std::uint64_t numbers)
      : endless_client(port, entries,
                       [at = std::uint64_t{0}, numbers](bulk_client& client) mutable {
                         constexpr std::uint64_t batch = 256;
                         at = (at + 7919 * batch) % (numbers - batch);
                         return client.get(at, batch);
                       }) {}
};

// ---- more than fits -----------------------------------------------------------------------------

struct flood_case {
  std::uint64_t limit_bytes;
  numbered_entries entries;
  unsigned connections;
  double times;                // what is written, of what fits
  double least_share_held = 0; // key and value bytes, of 70 % of the limit
};

void PrintTo(const flood_case& c, std::ostream* out) {
  *out << (c.limit_bytes / mib) << "M_" << c.entries.value_bytes << "_to_"
       << c.entries.value_bytes_max;
}

class pressure_flood : public pressure, public testing::WithParamInterface<flood_case> {};

TEST_P(pressure_flood, holds_what_it_can_and_is_not_killed) {
  const flood_case& c = GetParam();
  if (!start(c.limit_bytes, {"--max-value-chars", std::to_string(c.entries.value_bytes_max)}))
    return;
  const auto fit = entries_that_fit(c.limit_bytes, c.entries);
  const auto written = static_cast<std::uint64_t>(c.times * static_cast<double>(fit));

  // Use is judged while the cache is being written to: over the second half of the flood, when the
  // cache has long been full, and under reads and writes.
  const auto half = written / 2;
  expect_served(put_all(server().port(), c.entries, 0, half, c.connections));
  use_record flood(group(), settled);
  expect_served(put_all(server().port(), c.entries, half, half, c.connections));
  const use_looks flooded = flood.end();
  use_record mix(group(), settled);
  expect_served(mix_all(server().port(), c.entries, written, fit, fit / 2, c.connections));
  const use_looks mixed = mix.end();
  expect_settled_all_the_time(flooded);
  expect_settled_all_the_time(mixed);

  const auto after = server().look();
  EXPECT_TRUE(has_settled(after)) << after.use_percent;
  EXPECT_GT(after.evictions(), 0U);
  EXPECT_EQ(after.tier_changes(), 1U); // it came under pressure, and never to the emergency
  const double held = static_cast<double>(after.entries() * c.entries.mean_bytes()) /
                      (0.7 * static_cast<double>(c.limit_bytes));
  EXPECT_GE(held, c.least_share_held);
  // The slices are printed and not judged: how long one took says something of the machine, too.
  // That they end when their time is up is tested with a clock of its own, in evictor_test.cpp.
  std::printf(
      "in use %.1f to %.1f %% at %zu looks in the flood, %.1f to %.1f %% at %zu in the mix; "
      "held %.1f %% of the 70 %% mark, slices of the evictor: last %s us, longest %s us\n",
      flooded.seen.low, flooded.seen.high, flooded.count, mixed.seen.low, mixed.seen.high,
      mixed.count, 100 * held, after.stats["eviction"]["last_slice_us"].dump().c_str(),
      after.stats["eviction"]["longest_slice_us"].dump().c_str());

  // What is written now stays, and whatever is there is right.
  constexpr std::uint64_t fresh = 1000;
  bulk_client client(server().port(), c.entries);
  const bulk_result put = client.put(written + fit, fresh);
  expect_served(put);
  EXPECT_EQ(client.get(written + fit, fresh).ok, put.ok);
  expect_served(get_all(server().port(), c.entries, written + fit / 2, fit / 2, 4));
}

INSTANTIATE_TEST_SUITE_P(limits, pressure_flood,
                         testing::Values(flood_case{64 * mib, {1}, 64, 6},
                                         flood_case{64 * mib, {100}, 64, 10, 0.52},
                                         flood_case{64 * mib, {1, 1024}, 64, 10},
                                         flood_case{256 * mib, {100}, 64, 5, 0.66},
                                         flood_case{256 * mib, {256}, 64, 5, 0.78}),
                         testing::PrintToStringParamName());

// ---- nothing needless ---------------------------------------------------------------------------

TEST_F(pressure, misses_no_key_below_the_mark) {
  if (!start(64 * mib)) return;
  constexpr double filled = 65;
  constexpr double filled_with_buffers = 66; // the connections' count as well, while they are open
  constexpr double near = 60; // from where steps are small, so that the last does not pass the mark
  const numbered_entries entries;
  std::uint64_t stored = 0;
  for (double use = 0; use < filled_with_buffers; use = server().look().use_percent) {
    const std::uint64_t step = use < near ? 20'000 : 4'000;
    bulk_result read;
    std::thread reader([&] { read = get_all(server().port(), entries, 0, stored, 2); });
    const bulk_result written = put_all(server().port(), entries, stored, step, 4);
    reader.join();
    ASSERT_EQ(written.ok, step);
    ASSERT_EQ(read.ok, stored);
    ASSERT_EQ(read.corrupt, 0U);
    stored += step;
  }
  const bulk_result all = get_all(server().port(), entries, 0, stored, 4);
  EXPECT_EQ(all.ok, stored);
  EXPECT_EQ(all.corrupt, 0U);
  const auto after = server().look();
  EXPECT_EQ(after.evictions(), 0U);
  EXPECT_EQ(after.entries(), stored);
  EXPECT_EQ(after.tier(), "normal");
  EXPECT_EQ(after.tier_changes(), 0U);
  EXPECT_GE(after.use_percent, filled);
  EXPECT_LT(after.use_percent, 70);
}

// ---- what changes around it ---------------------------------------------------------------------

TEST_F(pressure, follows_a_limit_that_is_lowered_and_raised) {
  if (!start(128 * mib)) return;
  const numbered_entries entries;
  const auto fit = entries_that_fit(128 * mib, entries);
  const auto before = fill_and_settle(server(), entries, fit);
  ASSERT_TRUE(has_settled(before)) << before.use_percent;

  writer endless(server().port(), entries, fit * 2);
  group().set_limit_bytes(104 * mib);
  const auto lowered = server().look_until(has_settled);
  EXPECT_TRUE(has_settled(lowered)) << lowered.use_percent << " % of the lower limit";
  expect_settled_all_the_time(look_at_use(group(), settled, 100));
  expect_served(endless.end());

  group().set_limit_bytes(192 * mib);
  const auto raised = server().look_until([](const auto& at) { return at.tier() == "normal"; });
  EXPECT_EQ(raised.tier(), "normal");
  EXPECT_EQ(raised.stats["memory"]["limit_bytes"], 192 * mib);
  EXPECT_EQ(raised.tier_changes(), 2U); // under pressure when it was full, normal now

  // The room is there again: what is written now stays, and so does what was there.
  const auto more = bulk_client(server().port(), entries).put(std::uint64_t{1} << 40, fit / 4);
  EXPECT_EQ(more.ok, fit / 4);
  EXPECT_EQ(server().look().evictions(), raised.evictions());
}

TEST_F(pressure, shrinks_for_another_process_and_grows_again) {
  if (!start(128 * mib)) return;
  const numbered_entries entries;
  const auto fit = entries_that_fit(128 * mib, entries);
  const auto before = fill_and_settle(server(), entries, fit);
  ASSERT_TRUE(has_settled(before)) << before.use_percent;

  writer endless(server().port(), entries, fit * 2);
  {
    const ballast other(group(), 26 * mib);
    const auto squeezed = server().look_until(has_settled);
    EXPECT_TRUE(has_settled(squeezed)) << squeezed.use_percent << " % with the other process";
    expect_settled_all_the_time(look_at_use(group(), settled, 100));
    EXPECT_LT(squeezed.entries(), before.entries());
  }
  // Full again where it is under pressure again: it may hold 95 of 100 entries before that.
  const auto again = server().look_until([&](const auto& at) {
    return has_settled(at) && at.tier() == "pressure" &&
           at.entries() >= before.entries() * 95 / 100;
  });
  EXPECT_EQ(again.tier(), "pressure");
  EXPECT_TRUE(has_settled(again)) << again.use_percent << " % without it";
  expect_settled_all_the_time(look_at_use(group(), settled, 100));
  EXPECT_GE(again.entries(), before.entries() * 95 / 100);
  // Under pressure when it was full, normal when the room came back, under pressure when that was
  // full, too; and not to and fro between.
  EXPECT_EQ(server().look().tier_changes(), 3U);
  expect_served(endless.end());
}

// The marks lie low, so that the kernel's own is far away while the other process comes.
TEST_F(pressure, purges_at_the_emergency_mark_down_to_the_floor_and_keeps_serving) {
  constexpr std::uint64_t limit_bytes = 128 * mib;
  constexpr double emergency_percent = 50;
  constexpr std::uint64_t floor_bytes = limit_bytes * 5 / 100;
  if (!start(limit_bytes, {"--pressure-percent", "30", "--emergency-percent", "50"})) return;
  const numbered_entries entries;
  const auto fit = limit_bytes * 3 / 10 / (entries.mean_bytes() + overhead_bytes);
  expect_served(put_all(server().port(), entries, 0, fit * 3 / 2, 8));
  const auto evicted_at_the_mark = [](const limited_server::state& at) {
    return at.stats["eviction"]["evictions_by_tier"]["emergency"]["emergency"].get<std::uint64_t>();
  };
  const auto content = [](const limited_server::state& at) {
    const auto& memory = at.stats["memory"];
    return memory["live_bytes"].get<std::uint64_t>() + memory["index_bytes"].get<std::uint64_t>();
  };
  const auto before = server().look();
  ASSERT_EQ(evicted_at_the_mark(before), 0U);
  ASSERT_GT(content(before), 3 * floor_bytes);
  {
    const ballast other(group(), 38 * mib); // from 30 % to 60 %: more than evicting can make up for
    bulk_client client(server().port(), entries);
    const bulk_result written = client.put(fit * 2, 2000);
    EXPECT_EQ(written.other, 0U);
    const bulk_result read = client.get(fit * 2, 2000);
    EXPECT_EQ(read.other + read.corrupt, 0U);
    const auto purged = server().look_until([&](const limited_server::state& at) {
      return evicted_at_the_mark(at) > 0 && at.use_percent < emergency_percent &&
             at.tier() != "emergency" && content(at) <= floor_bytes * 2; // its index shrinks, too
    });
    EXPECT_GT(evicted_at_the_mark(purged), 0U);
    EXPECT_LT(purged.use_percent, emergency_percent);
    EXPECT_NE(purged.tier(), "emergency");
    EXPECT_GE(content(purged), floor_bytes * 9 / 10); // it does not empty itself
    EXPECT_LE(content(purged), floor_bytes * 2);
  }
  const auto relieved =
      server().look_until([](const limited_server::state& at) { return at.tier() == "normal"; });
  EXPECT_EQ(relieved.tier(), "normal");
  expect_served(put_all(server().port(), entries, fit * 3, fit / 4, 8));
  EXPECT_EQ(server().look().evictions(), relieved.evictions()); // the room is there again
}

// Another process jumps to 96 % of the group's limit and then takes 6 % of it each second, up to
// what eviction can give.
struct neighbour_case {
  const char* name;
  numbered_entries entries;
  double processors; // that the server may use; 0: as many as there are
};
void PrintTo(const neighbour_case& c, std::ostream* out) { *out << c.name; }

class pressure_neighbour : public pressure, public testing::WithParamInterface<neighbour_case> {};

TEST_P(pressure_neighbour, that_grows_fast_does_not_get_the_daemon_killed) {
  constexpr std::uint64_t limit_bytes = 256 * mib;
  constexpr double least_share = 0.2;
  const neighbour_case& c = GetParam();
  if (!make_group(limit_bytes)) return;
  std::string why_not;
  constexpr double processors_for_filling = 4;
  if (c.processors != 0 && !group().set_processor_share(processors_for_filling, why_not)) {
    give_up(why_not);
    return;
  }
  start_in_group();
  const auto fit = entries_that_fit(limit_bytes, c.entries);
  expect_served(put_all(server().port(), c.entries, 0, fit * 13 / 10, 8)); // below the mark
  if (c.processors != 0) {
    ASSERT_TRUE(group().set_processor_share(c.processors, why_not)) << why_not;
  }
  const std::uint64_t before = group().usage_bytes();
  ASSERT_GT(before, limit_bytes * 65 / 100);

  bulk_result written;
  bulk_result read;
  double highest = 0;
  {
    writer puts(server().port(), c.entries, fit * 2);
    reader gets(server().port(), c.entries, fit * 5 / 4);
    const growing_ballast other(group(), {.jump_bytes = limit_bytes * 96 / 100 - before,
                                          .bytes_a_second = limit_bytes * 6 / 100,
                                          .most_bytes = limit_bytes * 82 / 100,
                                          .paced_by = server().pid(),
                                          .processor_share = least_share});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(150);
    while (!other.has_all() && group().oom_kills() == 0 &&
           std::chrono::steady_clock::now() < deadline) {
      highest = std::max(highest, 100 * static_cast<double>(group().usage_bytes()) /
                                      static_cast<double>(limit_bytes));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(group().oom_kills(), 0U);
    EXPECT_TRUE(other.has_all());
    written = puts.end();
    read = gets.end();
  }
  std::printf("in use up to %.1f %%; %ju PUTs stored, %ju refused; %ju GETs answered\n", highest,
              std::uintmax_t{written.ok}, std::uintmax_t{written.refused},
              std::uintmax_t{read.total()});
  EXPECT_EQ(written.other + read.other + read.corrupt, 0U);
  EXPECT_GT(written.ok, 0U);
  EXPECT_GT(read.ok + read.missed, 0U);
  const bulk_result after = bulk_client(server().port(), c.entries).put(0, 1000);
  EXPECT_EQ(after.other, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    cases, pressure_neighbour,
    testing::Values(neighbour_case{"values_of_100", {100}, 0},
                    neighbour_case{"entries_of_10", {2, 2, 8}, 0},
                    neighbour_case{"values_of_100_on_a_fifth_of_a_processor", {100}, 0.2},
                    neighbour_case{"entries_of_10_on_a_fifth_of_a_processor", {2, 2, 8}, 0.2}),
    testing::PrintToStringParamName());

TEST_F(pressure, adapts_its_caps_to_the_limit) {
  if (!start(64 * mib)) return;
  constexpr std::uint64_t bytes_per_connection = 12 << 10;
  const auto allows = [](const limited_server::state& at) {
    return at.stats["configuration"]["max_connections"].get<std::uint64_t>();
  };
  for (const std::uint64_t limit : {64 * mib, 48 * mib, 96 * mib}) {
    group().set_limit_bytes(limit);
    const std::uint64_t wanted = limit / bytes_per_connection;
    const auto seen = server().look_until([&](const auto& at) { return allows(at) == wanted; });
    EXPECT_EQ(allows(seen), wanted);
  }
}

// Its old group is removed behind it: the limit there stays in force until the new one is known.
TEST_F(pressure, follows_the_limit_of_the_group_that_it_is_moved_to) {
  if (!make_group(64 * mib)) return;
  std::string why_not;
  auto first = memory_cgroup::create(64 * mib, why_not);
  auto second = memory_cgroup::create(48 * mib, why_not);
  ASSERT_TRUE(first && second) << why_not;
  const server_process server(KVCACHE_BINARY, {"--threads", "2"}, first->launcher());
  expect_served(put_all(server.port(), {}, 0, 50'000, 4));
  const auto memory = [&] {
    const http_reply reply = server.connect().ask(get_request("/stats"));
    return nlohmann::json::parse(reply.body)["memory"];
  };
  ASSERT_EQ(memory()["limit_bytes"], 64 * mib);
  second->add(server.pid());
  first.reset();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{15};
  nlohmann::json seen = memory();
  for (; seen["limit_bytes"] == 64 * mib && std::chrono::steady_clock::now() < deadline;
       seen = memory())
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  EXPECT_EQ(seen["limit_bytes"], 48 * mib) << seen.dump();
  EXPECT_NE(seen["source"].get<std::string>().find(second->path()), std::string::npos);
}

TEST_F(pressure, uses_the_machines_memory_as_limit_if_proc_shows_processes_only) {
  const std::vector<std::string> launcher{
      "/bin/sh", "-c",
      "exec unshare --mount -- /bin/sh -c 'mount -t proc -o subset=pid proc /proc && exec \"$@\"' "
      "sh \"$@\"",
      "sh"};
  if (run_program("/bin/true", {}, launcher).exit_code != 0)
    GTEST_SKIP() << "SKIPPED: /proc cannot be mounted with subset=pid here";
  const server_process server(KVCACHE_BINARY, {"--threads", "2"}, launcher);
  const http_reply reply = server.connect().ask(get_request("/stats"));
  const auto memory = nlohmann::json::parse(reply.body)["memory"];
  const auto machine_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                             static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (memory["source"] == "sysinfo") {
    EXPECT_EQ(memory["limit_bytes"], machine_bytes);
    EXPECT_NE(server.output().find("(sysinfo)"), std::string::npos) << server.output();
  } else { // a control group of the test's own limits it
    EXPECT_LE(memory["limit_bytes"], machine_bytes);
  }
  EXPECT_EQ(put_all(server.port(), {}, 0, 1000, 2).ok, 1000U);
}

// ---- peers that want its memory -----------------------------------------------------------------

void allow_many_descriptors() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

TEST_F(pressure, serves_a_client_among_hostile_peers) {
  constexpr std::uint64_t limit_bytes = 64 * mib;
  constexpr unsigned peers = 1500;
  constexpr std::uint64_t asked = 150;
  constexpr int small_receive_buffer = 4096;
  if (!start(limit_bytes)) return;
  allow_many_descriptors();
  const numbered_entries entries{256};
  const auto fit = entries_that_fit(limit_bytes, entries);
  expect_served(put_all(server().port(), entries, 0, fit * 3 / 2, 8));

  const std::string half_head = "GET /get?key=a HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
  std::string half_body = "POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12000\r\n\r\n{";
  half_body.append(11'000, ' ');
  std::string questions;
  for (int i = 0; i < 200; ++i)
    questions += get_request("/get?key=" + entries.key(fit * 3 / 2 - 1));
  const std::string* const openings[] = {&half_head, &half_body, &questions};
  std::vector<raw_client> hostile;
  for (unsigned i = 0; i < peers; ++i) {
    hostile.emplace_back(server().port(), small_receive_buffer);
    hostile.back().send_some(*openings[i % 3]);
  }

  raw_client friendly = server().connect();
  for (std::uint64_t i = 0; i < asked; ++i) {
    for (unsigned at = static_cast<unsigned>(i) % 7; at < peers; at += 7)
      if (at % 3 == 2) hostile[at].send_some(questions);
    ASSERT_EQ(friendly.ask(put_request(entries.key(i), entries.value(i))).status, 200U) << i;
    ASSERT_EQ(friendly.ask(get_request("/get?key=" + entries.key(i))).status, 200U) << i;
  }
  const auto after = server().look();
  EXPECT_LT(after.use_percent, 95);
  std::printf("in use %.1f %%, buffers %.1f MiB\n", after.use_percent,
              after.stats["memory"]["buffer_bytes"].get<double>() / mib);
}

class pressure_by_limit : public pressure, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(pressure_by_limit, closes_no_connection_when_five_thousand_clients_connect_at_once) {
  const std::uint64_t limit_bytes = GetParam();
  constexpr unsigned greedy_peers = 1700;
  constexpr unsigned friends = 3300;
  constexpr int small_receive_buffer = 4096;
  if (!start(limit_bytes)) return;
  allow_many_descriptors();
  const numbered_entries entries{256};
  const auto stored = entries_that_fit(limit_bytes, entries) * 3 / 2;
  expect_served(put_all(server().port(), entries, 0, stored, 8));

  use_record recorded(group(), use_range{0, 95});
  const std::string question = get_request("/get?key=" + entries.key(stored - 1));
  std::string questions;
  for (int i = 0; i < 500; ++i) questions += question;
  std::vector<raw_client> greedy;
  for (unsigned i = 0; i < greedy_peers; ++i) {
    greedy.emplace_back(server().port(), small_receive_buffer);
    greedy.back().send_some(i % 2 == 0 ? questions : question.substr(0, question.size() - 2));
  }
  std::vector<raw_client> friendly;
  for (unsigned i = 0; i < friends; ++i) {
    friendly.push_back(server().connect());
    friendly.back().send(question);
  }
  for (raw_client& peer : friendly) ASSERT_EQ(peer.read_reply().status, 200U);
  // Nobody was turned away at the door, and the greedy hold something.
  const auto among_all = server().look();
  EXPECT_GE(among_all.stats["connections"]["total"], greedy_peers + friends);
  EXPECT_EQ(among_all.stats["connections"]["refused"], 0U);
  EXPECT_GT(among_all.stats["memory"]["buffer_bytes"], mib);

  for (unsigned i = 0; i < friends; ++i) // they write as well
    friendly[i].send(put_request(entries.key(i), entries.value(i)));
  for (raw_client& peer : friendly) ASSERT_EQ(peer.read_reply().status, 200U);
  const auto after = server().look();
  const use_looks looks = recorded.end();
  EXPECT_GT(looks.count, 0U);
  EXPECT_LT(looks.seen.high, 95);
  std::printf("in use %.1f %%, buffers %.1f MiB, %s cut\n", after.use_percent,
              after.stats["memory"]["buffer_bytes"].get<double>() / mib,
              after.stats["connections"]["shed"].dump().c_str());
}

INSTANTIATE_TEST_SUITE_P(limits, pressure_by_limit, testing::Values(64 * mib, 256 * mib),
                         [](const auto& limit) { return std::to_string(limit.param / mib) + "M"; });

// ---- as small as it may be ----------------------------------------------------------------------

TEST_F(pressure, ends_with_exit_code_2_if_the_limit_is_too_small_to_start) {
  if (!make_group(4 * mib)) return;
  const program_end ended = run_program(KVCACHE_BINARY, {"--threads", "2"}, group().launcher());
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_NE(ended.output.find("the memory limit of 4 MiB"), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("the empty server needs"), std::string::npos) << ended.output;
  EXPECT_EQ(group().oom_kills(), 0U); // it ends by itself, and before the kernel would end it
}

TEST_F(pressure, serves_in_16_mib) {
  if (!start(16 * mib)) return;
  const numbered_entries entries;
  constexpr std::uint64_t written = 200'000;
  expect_served(put_all(server().port(), entries, 0, written, 16));
  const bulk_result last = bulk_client(server().port(), entries).put(0, 1000);
  EXPECT_EQ(last.ok, 1000U);
  const bulk_result read = bulk_client(server().port(), entries).get(900, 100);
  EXPECT_EQ(read.ok, 100U);
  EXPECT_EQ(read.corrupt, 0U);
  EXPECT_GT(server().look().entries(), 10'000U);
}

} // namespace
} // namespace kvcache::test
