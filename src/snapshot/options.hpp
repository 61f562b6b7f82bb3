// The options of snapshots.
#pragma once

#include <string>

namespace kvcache::snapshot {

struct options {
  std::string file;            // empty: no snapshots
  unsigned interval_s = 0;     // between two snapshots while serving; 0: none
  unsigned timeout_ms = 5'000; // for the one at the stop
  unsigned max_age_s = 0;      // of one that is loaded; 0: any
};

} // namespace kvcache::snapshot
