#include "metrics/worker_counters.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "metrics/sample_operations.hpp"

namespace kvcache::observe {
namespace {

counters_snapshot snapshot_of(const worker_counters& counters) {
  counters_snapshot snapshot;
  snapshot.operations = sample_operations;
  counters.add_to(snapshot);
  return snapshot;
}

TEST(counter, has_correct_differences_across_the_wrap) {
  counter wrapping;
  wrapping.add(std::numeric_limits<std::uint64_t>::max() - 1);
  const std::uint64_t before = wrapping.value();
  wrapping.add(5);
  EXPECT_LT(wrapping.value(), before);
  EXPECT_EQ(wrapping.value() - before, 5U);
}

TEST(counter, is_raised_but_never_lowered) {
  counter maximum;
  maximum.raise_to(7);
  maximum.raise_to(3);
  EXPECT_EQ(maximum.value(), 7U);
}

TEST(worker_counters, share_no_cache_line_with_a_neighbour) {
  EXPECT_EQ(alignof(worker_counters), cache_line_bytes);
  EXPECT_EQ(sizeof(worker_counters) % cache_line_bytes, 0U);
}

TEST(worker_counters, count_each_event_separately) {
  worker_counters counters;
  for (std::size_t e = 0; e < event_count; ++e) counters.add(static_cast<event>(e), e + 1);
  const counters_snapshot snapshot = snapshot_of(counters);
  for (std::size_t e = 0; e < event_count; ++e)
    EXPECT_EQ(snapshot.of(static_cast<event>(e)), e + 1);
}

TEST(worker_counters, name_every_outcome_of_a_put) {
  EXPECT_EQ(event_of(put_outcome::inserted), event::put_inserted);
  EXPECT_EQ(event_of(put_outcome::replaced), event::put_replaced);
  EXPECT_EQ(event_of(put_outcome::precondition_failed), event::put_precondition_failed);
  EXPECT_EQ(event_of(put_outcome::no_room), event::put_no_room);
  EXPECT_EQ(event_of(put_outcome::out_of_memory), event::put_out_of_memory);
  EXPECT_EQ(event_of(put_outcome::too_large), event::put_too_large);
}

TEST(worker_counters, count_responses_by_operation_and_status_and_unlisted_statuses_together) {
  worker_counters counters;
  const auto expected = [](std::size_t op, unsigned status) { return op * 1000 + status; };
  for (std::size_t op = 0; op < operations_most; ++op)
    for (const unsigned status : response_statuses)
      for (std::size_t i = 0; i < expected(op, status); ++i)
        counters.count_response(static_cast<operation_id>(op), status);
  for (const unsigned unlisted : {0U, 199U, 418U, 599U, 600U, 4'000'000'000U})
    counters.count_response(sample_put, unlisted);
  const counters_snapshot snapshot = snapshot_of(counters);
  for (std::size_t op = 0; op < operations_most; ++op)
    for (const unsigned status : response_statuses)
      EXPECT_EQ(snapshot.of(static_cast<operation_id>(op), status), expected(op, status));
  EXPECT_EQ(snapshot.of(sample_put, 418), 6U);
  EXPECT_EQ(snapshot.of(sample_get, 418), 0U);
}

TEST(worker_counters, count_a_stored_put_as_one_response_and_one_outcome) {
  worker_counters counters;
  for (int i = 0; i < 2; ++i) counters.count_response(sample_put, 200);
  for (int i = 0; i < 5; ++i) counters.count_response_in(sample_put, replaced_slot);
  const counters_snapshot snapshot = snapshot_of(counters);
  EXPECT_EQ(snapshot.of(event::put_inserted), 2U);
  EXPECT_EQ(snapshot.of(event::put_replaced), 5U);
  EXPECT_EQ(snapshot.of(sample_put, 200), 7U);
  EXPECT_EQ(snapshot.responses_sent(), 7U);
}

TEST(worker_counters, name_every_status) {
  EXPECT_EQ(status_name(status_slot(200)), "200");
  EXPECT_EQ(status_name(status_slot(507)), "507");
  EXPECT_EQ(status_name(status_slot(418)), "other");
  EXPECT_FALSE(is_error_slot(status_slot(204)));
  EXPECT_TRUE(is_error_slot(status_slot(400)));
  EXPECT_TRUE(is_error_slot(status_slot(418)));
}

TEST(counters_snapshot, derives_sums) {
  worker_counters counters;
  for (int i = 0; i < 3; ++i) counters.count_response(sample_get, 200);
  counters.count_response(sample_get, 404);
  counters.count_response(sample_get, 400);
  counters.count_response(sample_delete, 200);
  counters.count_response(sample_delete, 404);
  counters.count_response(sample_delete, 404);
  counters.count_response(sample_flush, 200);
  counters.count_response(sample_healthz, 200);
  counters.count_response(sample_readyz, 503);
  counters.count_response(options_operation, 204);
  counters.count_response(unknown_operation, 404);
  counters.count_response(unread_operation, 400);
  counters.add(event::put_inserted, 2);
  counters.add(event::put_replaced, 5);
  counters.add(event::put_no_room, 9);
  counters.add(event::connection_opened, 4);
  counters.add(event::connection_closed, 1);
  const counters_snapshot snapshot = snapshot_of(counters);
  EXPECT_EQ(snapshot.hits(), 3U);
  EXPECT_EQ(snapshot.misses(), 1U);
  EXPECT_EQ(snapshot.gets(), 4U);
  EXPECT_EQ(snapshot.deletes(), 1U);
  EXPECT_EQ(snapshot.deletes_not_found(), 2U);
  EXPECT_EQ(snapshot.flushes(), 1U);
  EXPECT_EQ(snapshot.other_requests(), 2U);
  EXPECT_EQ(snapshot.refused(status_slot(400)), 2U);
  EXPECT_EQ(snapshot.refused(status_slot(404)), 1U);
  EXPECT_EQ(snapshot.refused(status_slot(503)), 1U);
  EXPECT_EQ(snapshot.responses_sent(), 14U);
  EXPECT_EQ(snapshot.puts(), 7U);
  EXPECT_EQ(snapshot.connections_now(), 3U);
}

TEST(counters_snapshot, sums_all_operations_with_the_same_access_to_the_store) {
  constexpr std::array<operation_info, 5> twice{{{"options"},
                                                 {"unknown"},
                                                 {"none"},
                                                 {"get", store_access::get},
                                                 {"other", store_access::get}}};
  worker_counters counters;
  counters.count_response(3, 200);
  counters.count_response(4, 200);
  counters.count_response(4, 404);
  counters_snapshot snapshot;
  snapshot.operations = twice;
  counters.add_to(snapshot);
  EXPECT_EQ(snapshot.hits(), 2U);
  EXPECT_EQ(snapshot.misses(), 1U);
}

TEST(counters_snapshot, never_reports_a_negative_number_of_connections) {
  counters_snapshot torn;
  torn.events[static_cast<std::size_t>(event::connection_closed)] = 1;
  EXPECT_EQ(torn.connections_now(), 0U);
}

TEST(counters_snapshot, contains_the_counts_after_an_earlier_snapshot_even_across_the_wrap) {
  worker_counters counters;
  counters.add(event::bytes_sent, std::numeric_limits<std::uint64_t>::max());
  const counters_snapshot earlier = snapshot_of(counters);
  counters.add(event::bytes_sent, 11);
  counters.count_response(sample_get, 200);
  counters.count_response(sample_get, 200);
  counters.count_response(sample_put, 400);
  counters.get_latency().record(50);
  counters.put_latency().record(60);
  const counters_snapshot between = snapshot_of(counters).since(earlier);
  EXPECT_EQ(between.of(event::bytes_sent), 11U);
  EXPECT_EQ(between.hits(), 2U);
  EXPECT_EQ(between.of(sample_put, 400), 1U);
  EXPECT_EQ(between.get_latency.count(), 1U);
  EXPECT_EQ(between.put_latency.count(), 1U);
}

// Under ThreadSanitizer this proves that a reader needs no lock.
TEST(worker_counters, can_be_read_while_their_worker_counts) {
  constexpr std::uint64_t rounds = 200'000;
  worker_counters counters;
  std::atomic<bool> started{false};
  std::thread worker{[&] {
    started.store(true);
    for (std::uint64_t i = 0; i < rounds; ++i) {
      counters.count_response(sample_get, 200);
      counters.count_response(sample_put, 400);
      counters.get_latency().record_n(i, 2);
    }
  }};
  while (!started.load()) std::this_thread::yield();

  counters_snapshot previous;
  for (int i = 0; i < 200; ++i) {
    const counters_snapshot now = snapshot_of(counters);
    ASSERT_GE(now.hits(), previous.hits());
    ASSERT_GE(now.get_latency.count(), previous.get_latency.count());
    ASSERT_LE(now.get_latency.quantile_ns(0.5), now.get_latency.max_ns());
    previous = now;
  }
  worker.join();
  EXPECT_EQ(snapshot_of(counters).hits(), rounds);
  EXPECT_EQ(snapshot_of(counters).get_latency.count(), 2 * rounds);
  EXPECT_EQ(snapshot_of(counters).get_latency.max_ns(), rounds - 1);
}

} // namespace
} // namespace kvcache::observe
