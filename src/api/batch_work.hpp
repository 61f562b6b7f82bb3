// A batch in progress: its operations, and the results so far. Batches in progress keep their
// memory for the next, so that a batch allocates nothing in a steady state.
//
// Thread-safety: none; each worker has its own pool.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "api/batch_body.hpp"
#include "api/unfinished_work.hpp"
#include "http/output_buffer.hpp"

namespace kvcache::http {

class batch_work final : public unfinished_work {
public:
  batch_body body;
  output_buffer results;
  bool is_begun = false;          // the body has been read
  std::size_t next = 0;           // the first operation that has not been done
  std::size_t reserved_bytes = 0; // of the response, for the results of those

  std::size_t held_bytes() const noexcept override {
    return sizeof(*this) + body.bytes() + results.capacity();
  }
};

class batch_work_pool {
public:
  std::unique_ptr<batch_work> take(); // throws std::bad_alloc
  void give_back(std::unique_ptr<batch_work> used) noexcept;

  // What was not in use for a while is freed, bit by bit.
  void trim() noexcept;
  std::size_t held_bytes() const noexcept;

private:
  std::vector<std::unique_ptr<batch_work>> spare_;
  std::size_t least_spare_ = 0; // since the last trim()
};

} // namespace kvcache::http
