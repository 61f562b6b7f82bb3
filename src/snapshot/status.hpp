// What is reported of snapshots. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache::snapshot {

enum class load_state : std::uint8_t {
  none,    // there was no file, or none is configured
  loading, // under way
  loaded,  // all that was in the file, and is not expired or written since
  damaged, // parts of the file could not be read; the rest is loaded
  full,    // up to the memory that is free below the pressure mark
  flushed, // ended by a flush
  stopped, // ended by the stop of the program
  too_old, // older than is wanted: nothing is loaded
  refused  // the file is no snapshot, or could not be read at all
};
inline constexpr std::array<std::string_view, 9> load_state_names{
    "none", "loading", "loaded", "damaged", "full", "flushed", "stopped", "too_old", "refused"};

enum class save_state : std::uint8_t {
  none,      // since the start
  saving,    // under way
  saved,     // all entries
  shortened, // the hottest entries: the time did not suffice
  failed,    // the earlier file is as it was
};
inline constexpr std::array<std::string_view, 5> save_state_names{"none", "saving", "saved",
                                                                  "shortened", "failed"};

struct load_status {
  load_state state = load_state::none;
  std::uint64_t entries = 0; // loaded
  std::uint64_t bytes = 0;   // read
  std::uint64_t skipped_blocks = 0;
  double seconds = 0;
  std::uint64_t unix_ms = 0; // when it began; 0: never
};

struct save_status {
  save_state state = save_state::none;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0; // written
  double seconds = 0;
  std::uint64_t unix_ms = 0; // when it began; 0: never
  int error = 0;             // errno, of a failed one
};

struct status {
  bool configured = false;
  load_status last_load;
  save_status last_save;
  std::uint64_t failed_saves = 0;           // since the start
  std::optional<std::uint64_t> file_age_ms; // of the file that is there now
};

} // namespace kvcache::snapshot
