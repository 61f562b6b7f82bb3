// Memory for one pending Asio operation, inside the object that starts it: no allocation per
// operation.
//
// Asio frees an operation's memory before it calls the handler, so one handler_memory serves an
// endless chain of operations, one at a time. An operation that does not fit, or a concurrent
// second one, uses the heap.
//
// Thread-safety: none. It must outlive the operations that use it.
#pragma once

#include <cstddef>
#include <new>

namespace kvcache::http {

class handler_memory {
public:
  handler_memory() = default;
  handler_memory(const handler_memory&) = delete;
  handler_memory& operator=(const handler_memory&) = delete;

  void* allocate(std::size_t bytes) {
    if (in_use_ || bytes > sizeof(storage_)) return ::operator new(bytes);
    in_use_ = true;
    return &storage_;
  }

  void deallocate(void* memory) noexcept {
    if (memory == &storage_)
      in_use_ = false;
    else
      ::operator delete(memory);
  }

private:
  // Enough for this layer's handlers that wait for a descriptor or a timer.
  static constexpr std::size_t capacity_bytes = 192;

  alignas(std::max_align_t) std::byte storage_[capacity_bytes];
  bool in_use_ = false;
};

// The allocator interface that Asio requires.
template <class T>
class handler_allocator {
public:
  using value_type = T;

  explicit handler_allocator(handler_memory& memory) noexcept : memory_(&memory) {}
  template <class U>
  handler_allocator(
      const handler_allocator<U>& other) noexcept // NOLINT(google-explicit-constructor)
      : memory_(other.memory_) {}

  T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { memory_->deallocate(memory); }

  friend bool operator==(const handler_allocator&, const handler_allocator&) = default;

private:
  template <class U>
  friend class handler_allocator;

  handler_memory* memory_;
};

} // namespace kvcache::http
