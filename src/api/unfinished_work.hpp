// A request whose handling takes several turns: between them, other connections are served.
//
// Thread-safety: none; it stays on its worker's thread.
#pragma once

#include <cstddef>

namespace kvcache::http {

class unfinished_work {
public:
  unfinished_work() = default;
  virtual ~unfinished_work() = default;
  unfinished_work(const unfinished_work&) = delete;
  unfinished_work& operator=(const unfinished_work&) = delete;

  virtual std::size_t held_bytes() const noexcept = 0; // of memory
};

} // namespace kvcache::http
