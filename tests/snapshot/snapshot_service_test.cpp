#include "snapshot/snapshot_service.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using namespace std::chrono_literals;
using test::content_of;
using test::folder;
using test::write_file;

// A cache with its snapshots, as the daemon has them.
class service {
public:
  explicit service(const options& settings, std::uint64_t memory_limit = 0)
      : cached_(options_for(memory_limit)), snapshots_(settings, cached_, [] {}) {
    cached_.start();
  }
  ~service() { cached_.stop(); }

  std::string start() {
    std::string warnings = snapshots_.start_loading(test::tagger(), 2);
    return warnings += snapshots_.remove_loaded();
  }
  void await_loaded() {
    while (snapshots_.loading()) std::this_thread::yield();
  }
  void stop() {
    snapshots_.begin_last();
    while (!snapshots_.await_last(100ms)) {
    }
  }
  cache& entries() { return cached_.entries(); }
  snapshot_service& snapshots() { return snapshots_; }
  managed_cache& cached() { return cached_; }

private:
  static limited_cache_options options_for(std::uint64_t memory_limit) {
    limited_cache_options made;
    made.memory_limit_bytes = memory_limit;
    made.eviction.threads = 2;
    return made;
  }
  managed_cache cached_;
  snapshot_service snapshots_;
};

void fill(cache& to, int entries) {
  for (int i = 0; i < entries; ++i) to.put("key" + std::to_string(i), "value", never);
}

TEST(snapshot_service, what_is_saved_at_a_stop_is_there_after_the_next_start) {
  const folder in;
  const options settings{.file = in.file("s")};
  {
    service first{settings};
    EXPECT_EQ(first.start(), ""); // there is no file yet, which is as it should be
    EXPECT_EQ(first.snapshots().report().last_load.state, load_state::none);
    fill(first.entries(), 1000);
    first.stop();
    const status now = first.snapshots().report();
    EXPECT_EQ(now.last_save.state, save_state::saved);
    EXPECT_EQ(now.last_save.entries, 1000U);
    EXPECT_TRUE(now.file_age_ms);
  }
  service second{settings};
  EXPECT_EQ(second.start(), "");
  second.await_loaded();
  const status now = second.snapshots().report();
  EXPECT_EQ(now.last_load.state, load_state::loaded);
  EXPECT_EQ(now.last_load.entries, 1000U);
  EXPECT_EQ(second.entries().size(), 1000U);
}

TEST(snapshot_service, eviction_begins_with_what_it_had_learned) {
  const folder in;
  hit_density::experience learned;
  learned.hits[2][5] = 77;
  learned.exposure[2][5] = 1000;
  {
    service first{{.file = in.file("s")}};
    first.cached().adopt(learned);
    first.stop();
  }
  service second{{.file = in.file("s")}};
  second.start();
  second.await_loaded();
  EXPECT_EQ(second.cached().eviction_experience().hits, learned.hits);
  EXPECT_EQ(second.cached().eviction_experience().exposure, learned.exposure);
}

TEST(snapshot_service, without_an_interval_the_file_is_gone_once_it_is_open) {
  const folder in;
  {
    service first{{.file = in.file("s")}};
    fill(first.entries(), 10);
    first.stop();
  }
  service second{{.file = in.file("s")}};
  second.start();
  EXPECT_EQ(in.files(), 0U);
  second.await_loaded();
  EXPECT_FALSE(second.snapshots().report().file_age_ms);
}

TEST(snapshot_service, with_an_interval_the_file_stays) {
  const folder in;
  const options settings{.file = in.file("s"), .interval_s = 3600};
  {
    service first{settings};
    fill(first.entries(), 10);
    first.stop();
  }
  service second{settings};
  second.start();
  second.await_loaded();
  EXPECT_EQ(in.files(), 1U);
  EXPECT_TRUE(second.snapshots().report().file_age_ms);
}

TEST(snapshot_service, saves_when_the_interval_has_passed) {
  const folder in;
  service one{{.file = in.file("s"), .interval_s = 60}};
  fill(one.entries(), 10);
  const auto now = std::chrono::steady_clock::now();
  one.snapshots().save_if_due(now + 59s);
  EXPECT_EQ(one.snapshots().report().last_save.state, save_state::none);
  one.snapshots().save_if_due(now + 61s);
  while (one.snapshots().report().last_save.state != save_state::saved) std::this_thread::yield();
  EXPECT_EQ(one.snapshots().report().last_save.entries, 10U);
  EXPECT_EQ(in.files(), 1U);
}

TEST(snapshot_service, says_why_nothing_is_loaded_and_starts_empty) {
  const folder in;
  const auto warning_for = [&](const options& settings) {
    service one{settings};
    const std::string warning = one.start();
    EXPECT_EQ(one.entries().size(), 0U);
    EXPECT_FALSE(one.snapshots().loading());
    EXPECT_TRUE(one.snapshots().report().last_load.state == load_state::refused ||
                one.snapshots().report().last_load.state == load_state::too_old);
    return warning;
  };
  write_file(in.file("text"), "this is no snapshot at all, but long enough for its header");
  EXPECT_EQ(warning_for({.file = in.file("text")}),
            "nothing is loaded from " + in.file("text") + ": it is not a snapshot");
  write_file(in.file("empty"), "");
  EXPECT_EQ(warning_for({.file = in.file("empty")}),
            "nothing is loaded from " + in.file("empty") + ": it is not a snapshot");
  std::filesystem::create_directory(in.file("folder"));
  EXPECT_EQ(warning_for({.file = in.file("folder")}),
            "nothing is loaded from " + in.file("folder") + ": not a regular file");
  ASSERT_EQ(::mkfifo(in.file("fifo").c_str(), 0600), 0);
  EXPECT_EQ(warning_for({.file = in.file("fifo")}),
            "nothing is loaded from " + in.file("fifo") + ": not a regular file");
  EXPECT_EQ(warning_for({.file = in.file("text/below")}),
            "nothing is loaded from " + in.file("text/below") + ": Not a directory");
  auto newer = encode(file_header{1, 2, 3});
  newer[8] = 2;
  write_file(in.file("newer"), {newer.data(), newer.size()});
  EXPECT_EQ(warning_for({.file = in.file("newer")}),
            "nothing is loaded from " + in.file("newer") +
                ": its format is version 2, which this program does not know");
  const auto old = encode(file_header{1, 1'000, 3});
  write_file(in.file("old"), {old.data(), old.size()});
  EXPECT_EQ(warning_for({.file = in.file("old"), .max_age_s = 3600}),
            "nothing is loaded from " + in.file("old") + ": it is older than --snapshot-max-age-s");
}

TEST(snapshot_service, never_overwrites_a_file_that_is_no_snapshot) {
  const folder in;
  write_file(in.file("s"), "something that matters to somebody");
  service one{{.file = in.file("s")}};
  EXPECT_NE(one.start(), "");
  EXPECT_EQ(one.snapshots().make().error, EEXIST);
  EXPECT_EQ(content_of(in.file("s")), "something that matters to somebody");
  std::filesystem::remove(in.file("s"));
  EXPECT_EQ(one.snapshots().make().error, 0);
}

TEST(snapshot_service, overwrites_a_damaged_snapshot_and_an_empty_file) {
  const folder in;
  auto damaged = encode(file_header{1, 2, 3});
  damaged[20] = 77;
  for (const std::string_view content :
       {std::string_view{damaged.data(), damaged.size()}, std::string_view{}}) {
    write_file(in.file("s"), content);
    service one{{.file = in.file("s")}};
    EXPECT_NE(one.start(), "");
    EXPECT_EQ(one.snapshots().make().error, 0);
  }
}

TEST(snapshot_service, one_on_request_is_on_the_disk_when_it_is_done) {
  const folder in;
  service one{{.file = in.file("s")}};
  fill(one.entries(), 10);
  const http::snapshot_outcome made = one.snapshots().make();
  EXPECT_EQ(made.error, 0);
  EXPECT_EQ(made.entries, 10U);
  EXPECT_EQ(made.bytes, content_of(in.file("s")).size());
}

TEST(snapshot_service, tells_why_one_could_not_be_made_and_counts_it) {
  const folder in;
  service one{{.file = in.file("none/s")}};
  EXPECT_EQ(one.snapshots().make().error, ENOENT);
  EXPECT_EQ(one.snapshots().report().last_save.state, save_state::failed);
  EXPECT_EQ(one.snapshots().report().last_save.error, ENOENT);
  EXPECT_EQ(one.snapshots().report().failed_saves, 1U);
}

TEST(snapshot_service, writes_nothing_over_what_it_cannot_look_at) {
  const folder in;
  write_file(in.file("text"), "no folder");
  service one{{.file = in.file("text/below")}};
  EXPECT_EQ(one.snapshots().make().error, ENOTDIR);
}

TEST(snapshot_service, makes_one_at_a_time) {
  const folder in;
  service one{{.file = in.file("s")}};
  fill(one.entries(), 100'000);
  std::atomic<int> made{0};
  std::atomic<int> busy{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const int error = one.snapshots().make().error;
      if (error == 0) ++made;
      if (error == EBUSY) ++busy;
    });
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(made + busy, 4);
  EXPECT_GE(made, 1);
}

TEST(snapshot_service, what_was_begun_before_a_stop_gives_way_to_the_last_one) {
  const folder in;
  service one{{.file = in.file("s")}};
  fill(one.entries(), 50'000);
  one.snapshots().on_stopping();
  EXPECT_EQ(one.snapshots().make().error, ECANCELED);
  one.stop();
  EXPECT_EQ(one.snapshots().report().last_save.state, save_state::saved);
}

TEST(snapshot_service, a_last_one_of_less_than_a_block_can_be_aborted_too) {
  const folder in;
  service one{{.file = in.file("s")}};
  fill(one.entries(), 3);
  one.snapshots().abort_last();
  one.stop();
  EXPECT_EQ(one.snapshots().report().last_save.error, ECANCELED);
  EXPECT_EQ(in.files(), 0U);
}

TEST(snapshot_service, an_aborted_last_one_leaves_the_earlier_file) {
  const folder in;
  service one{{.file = in.file("s")}};
  ASSERT_EQ(one.snapshots().make().error, 0);
  const std::string earlier = content_of(in.file("s"));
  fill(one.entries(), 50'000);
  one.snapshots().abort_last();
  one.stop();
  EXPECT_EQ(one.snapshots().report().last_save.error, ECANCELED);
  EXPECT_EQ(content_of(in.file("s")), earlier);
}

#ifndef KVCACHE_SANITIZED // an instrumented program takes more than the limit by itself
TEST(snapshot_service, loads_no_more_than_fits_below_the_pressure_mark_of_todays_limit) {
  const folder in;
  const options settings{.file = in.file("s")};
  {
    service first{settings};
    for (int i = 0; i < 100'000; ++i)
      first.entries().put("key" + std::to_string(i), std::string(1000, 'v'), never);
    first.stop();
  }
  service second{settings, std::uint64_t{64} << 20U};
  second.start();
  second.await_loaded();
  EXPECT_EQ(second.snapshots().report().last_load.state, load_state::full);
  EXPECT_GT(second.entries().size(), 1000U);
  EXPECT_LT(second.entries().stats().held_bytes, (std::size_t{64} << 20U) * 70 / 100);
  const auto evictions = second.entries().stats().evictions;
  for (const std::uint64_t count : evictions) EXPECT_EQ(count, 0U);
}
#endif

TEST(snapshot_service, warns_of_an_interval_without_a_file) {
  service one{{.file = {}, .interval_s = 60}};
  EXPECT_EQ(one.start(), "--snapshot-interval-s has no effect without --snapshot-file");
}

TEST(snapshot_service, without_a_file_nothing_happens) {
  service one{{}};
  EXPECT_FALSE(one.snapshots().configured());
  EXPECT_EQ(one.start(), "");
  one.stop();
  EXPECT_EQ(one.snapshots().report().last_save.state, save_state::none);
}

} // namespace
} // namespace kvcache::snapshot
