// A service_snapshot with a different value of every figure, so that a test notices swapped ones.
#pragma once

#include <chrono>
#include <cstdint>

#include "metrics/sample_operations.hpp"
#include "report/service_snapshot.hpp"

namespace kvcache::observe {

inline service_snapshot sample_snapshot() {
  service_snapshot snapshot;
  snapshot.version = "1.2.3";
  snapshot.revision = "0123abcd";
  snapshot.snapshots.configured = true;
  snapshot.snapshots.last_load = {.state = snapshot::load_state::damaged,
                                  .entries = 5001,
                                  .bytes = 5002,
                                  .skipped_blocks = 3,
                                  .seconds = 1.5,
                                  .unix_ms = 1'700'000'000'123};
  snapshot.snapshots.last_save = {.state = snapshot::save_state::shortened,
                                  .entries = 6001,
                                  .bytes = 6002,
                                  .seconds = 2.5,
                                  .unix_ms = 1'700'000'100'000};
  snapshot.snapshots.failed_saves = 4;
  snapshot.snapshots.file_age_ms = 12'345;
  snapshot.log_lines_dropped = 9'999;
  snapshot.state = service_state::ready;

  snapshot.configuration = {{"port", 7171}, {"memory_limit_bytes", nullptr}};
  snapshot.changed_defaults = {{"port", 7170}};
  snapshot.max_connections = 10'000;
  snapshot.options.max_entries = 5'000'000;
  snapshot.options.eviction.threads = 3;

  snapshot.process.started_at = std::chrono::milliseconds{1'700'000'000'500};
  snapshot.process.processor_time = std::chrono::milliseconds{12'250};
  snapshot.process.resident_bytes = 9'009;
  snapshot.process.open_files = 31;
  snapshot.process.files_most = 65'536;

  snapshot.store.entries = 1'001;
  snapshot.store.live_bytes = 2'002;
  snapshot.store.free_bytes = 303;
  snapshot.store.index_bytes = 404;
  snapshot.store.held_bytes = 5'005;
  snapshot.store.evictions = {11, 12, 13, 14, 15};
  snapshot.store.index_growths = 16;
  snapshot.store.index_shrinks = 17;
  snapshot.store.entries_moved = 18;
  snapshot.store.longest_growth_step_ns = 1'900'000;
  snapshot.store.longest_move_slice_ns = 450'000;
  snapshot.hold_limit_bytes = 6'006;
  snapshot.buffer_bytes = 8'008;

  snapshot.eviction.reading = {300, 400, "cgroup v2 /sys/fs/cgroup/\"odd\\name\"\n\xff"};

  snapshot.eviction.tier = pressure_tier::pressure;
  snapshot.eviction.tier_changes = 21;
  snapshot.evictor_runs = 22;
  snapshot.eviction.allowance_bytes = 7'007;
  snapshot.eviction.evictions = {{{1, 2, 0, 6, 15}, {10, 10, 0, 6, 0}, {0, 0, 13, 2, 0}}};
  snapshot.eviction.last_slice_ns = 123'000;
  snapshot.eviction.longest_slice_ns = 456'000;

  registry counters{1, sample_operations};
  worker_counters& worker = counters.worker(0);
  // Those of stored PUTs are counted with their responses.
  for (auto e = static_cast<std::size_t>(event::put_precondition_failed); e < event_count; ++e)
    worker.add(static_cast<event>(e), 1'000 + 10 * e);
  const auto respond = [&worker](operation_id op, unsigned status, unsigned times) {
    for (unsigned i = 0; i < times; ++i) worker.count_response(op, status);
  };
  respond(sample_get, 200, 1'000);
  respond(sample_get, 404, 1'010);
  respond(sample_get, 400, 2);
  respond(sample_put, 200, 1'000);
  for (int i = 0; i < 1'010; ++i) worker.count_response_in(sample_put, replaced_slot);
  respond(sample_put, 503, 1);
  respond(sample_delete, 200, 1'190);
  respond(sample_delete, 404, 1'200);
  respond(sample_flush, 200, 1'210);
  respond(sample_healthz, 200, 1'000);
  respond(options_operation, 204, 220);
  respond(unread_operation, 418, 1);
  worker.get_latency().record_n(20'000, 98);
  worker.get_latency().record_n(3'000'000, 2);
  worker.put_latency().record_n(40'000, 10);
  counters.tick(std::chrono::seconds{30});
  respond(sample_get, 200, 3);
  respond(sample_get, 404, 1);
  respond(unknown_operation, 404, 1);
  worker.get_latency().record(15'000);
  snapshot.counters = counters.report(std::chrono::milliseconds{95'500});
  return snapshot;
}

} // namespace kvcache::observe
