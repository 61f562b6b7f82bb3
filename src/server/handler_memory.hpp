// Room for one pending Asio operation, part of the object that starts it: no allocation per
// operation.
//
// Asio frees an operation's memory before it calls the handler, so one handler_memory serves an
// endless chain of operations, one at a time. An operation that does not fit, or a second one at
// the same time, gets its memory from the heap: slower, never wrong.
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

  void deallocate(void* room) noexcept {
    if (room == &storage_)
      in_use_ = false;
    else
      ::operator delete(room);
  }

private:
  // Waiting for a descriptor or a timer takes less with the handlers of this room.
  static constexpr std::size_t capacity_bytes = 192;

  alignas(std::max_align_t) std::byte storage_[capacity_bytes];
  bool in_use_ = false;
};

// The standard-allocator face that Asio asks for.
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
  void deallocate(T* room, std::size_t) noexcept { memory_->deallocate(room); }

  friend bool operator==(const handler_allocator&, const handler_allocator&) = default;

private:
  template <class U>
  friend class handler_allocator;

  handler_memory* memory_;
};

} // namespace kvcache::http
