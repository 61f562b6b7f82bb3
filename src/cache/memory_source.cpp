#include "cache/memory_source.hpp"

#include <cstdint>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace kvcache {
namespace {

void* mapping_or_null(void* start, std::size_t bytes) noexcept {
  if (start == MAP_FAILED) return nullptr;
  ::madvise(start, bytes, MADV_NOHUGEPAGE); // fails where the kernel has no huge pages: as wanted
  return start;
}

class kernel_memory final : public memory_source {
public:
  void* reserve(std::size_t bytes) noexcept override {
    return mapping_or_null(
        ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
        bytes);
  }
  void unreserve(void* start, std::size_t bytes) noexcept override { ::munmap(start, bytes); }

  bool commit(void* start, std::size_t bytes) noexcept override {
    return ::mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0;
  }
  void populate(void* start, std::size_t bytes) noexcept override {
    const std::size_t in_page = reinterpret_cast<std::uintptr_t>(start) % page_bytes();
    ::madvise(
        static_cast<char*>(start) - in_page, bytes + in_page,
        MADV_POPULATE_WRITE); // fails before Linux 5.14: the pages appear when they are touched
  }
  void give_back(void* start, std::size_t bytes) noexcept override {
    ::madvise(start, bytes, MADV_DONTNEED);
  }

  void* map(std::size_t bytes) noexcept override {
    return mapping_or_null(
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), bytes);
  }
  void unmap(void* start, std::size_t bytes) noexcept override { ::munmap(start, bytes); }

  void* allocate(std::size_t bytes) noexcept override {
    return ::operator new (bytes, std::align_val_t{piece_alignment}, std::nothrow);
  }
  void deallocate(void* start, std::size_t /*bytes*/) noexcept override {
    ::operator delete (start, std::align_val_t{piece_alignment});
  }
};

} // namespace

memory_source& system_memory_source() noexcept {
  static kernel_memory source; // stateless
  return source;
}

std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t round_up_to_pages(std::size_t bytes) noexcept {
  const std::size_t page = page_bytes();
  return (bytes + page - 1) / page * page;
}

} // namespace kvcache
