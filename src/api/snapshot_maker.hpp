// How POST /snapshot has one made, by a layer that the endpoints do not know.
#pragma once

#include <cstdint>

namespace kvcache::http {

struct snapshot_outcome {
  int error = 0; // errno; EBUSY while another one is being made or loaded
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

// Thread-safety: any thread, any time.
class snapshot_maker {
public:
  virtual ~snapshot_maker() = default;
  snapshot_maker(const snapshot_maker&) = delete;
  snapshot_maker& operator=(const snapshot_maker&) = delete;

  // Whether there is a file to write to.
  virtual bool configured() const noexcept = 0;
  // Returns when the snapshot is on the disk.
  virtual snapshot_outcome make() noexcept = 0;

protected:
  snapshot_maker() = default;
};

} // namespace kvcache::http
