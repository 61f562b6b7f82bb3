// A memory_source for tests: counts what is out, and refuses requests on demand.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <limits>

#include "cache/memory_source.hpp"

namespace kvcache::test {

class counting_memory final : public memory_source {
public:
  // Requests are counted from 1. From the first refused one on, `count` of them are refused.
  void refuse(std::size_t first_request, std::size_t count) noexcept {
    requests_ = 0;
    refuse_from_ = first_request;
    refuse_until_ = count == all ? all : first_request + count;
  }
  void refuse_nothing() noexcept { refuse(all, 0); }
  // From now on so many requests are granted and so many refused, in turns.
  void refuse_in_turns(std::size_t requests) noexcept { turn_ = requests; }
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
  // From now on larger reservations are refused: a small range of addresses.
  void reserve_at_most(std::size_t bytes) noexcept { most_reserved_ = bytes; }

  std::size_t requests() const noexcept { return requests_; }
  std::size_t refused() const noexcept { return refused_; }
  std::size_t reserved_bytes() const noexcept { return reserved_; }
  std::size_t mapped_bytes() const noexcept { return mapped_; }
  std::size_t allocated_bytes() const noexcept { return allocated_; }
  std::size_t populated_bytes() const noexcept { return populated_; }
  std::size_t given_back_bytes() const noexcept { return given_back_; }

  std::function<void()> on_give_back; // both are set while no other thread is there
  std::function<void()> on_commit;

  void* reserve(std::size_t bytes) noexcept override {
    if (bytes > most_reserved_ || refused_now()) return nullptr;
    return counted(kernel_.reserve(bytes), bytes, reserved_);
  }
  void unreserve(void* start, std::size_t bytes) noexcept override {
    reserved_ -= bytes;
    kernel_.unreserve(start, bytes);
  }
  bool commit(void* start, std::size_t bytes) noexcept override {
    if (on_commit) on_commit();
    return !refused_now() && kernel_.commit(start, bytes);
  }
  void populate(void* start, std::size_t bytes) noexcept override {
    populated_ += bytes;
    kernel_.populate(start, bytes);
  }
  void give_back(void* start, std::size_t bytes) noexcept override {
    given_back_ += bytes;
    if (on_give_back) on_give_back();
    kernel_.give_back(start, bytes);
  }
  void* map(std::size_t bytes) noexcept override {
    if (refused_now()) return nullptr;
    return counted(kernel_.map(bytes), bytes, mapped_);
  }
  void unmap(void* start, std::size_t bytes) noexcept override {
    mapped_ -= bytes;
    kernel_.unmap(start, bytes);
  }
  void* allocate(std::size_t bytes) noexcept override {
    if (refused_now()) return nullptr;
    return counted(kernel_.allocate(bytes), bytes, allocated_);
  }
  void deallocate(void* start, std::size_t bytes) noexcept override {
    allocated_ -= bytes;
    kernel_.deallocate(start, bytes);
  }

private:
  bool refused_now() noexcept {
    const std::size_t request = ++requests_;
    const std::size_t turn = turn_;
    const bool in_turn = turn != 0 && request / turn % 2 == 1;
    if (!in_turn && (request < refuse_from_ || request >= refuse_until_)) return false;
    ++refused_;
    return true;
  }
  static void* counted(void* memory, std::size_t bytes, std::atomic<std::size_t>& sum) noexcept {
    if (memory != nullptr) sum += bytes;
    return memory;
  }

  memory_source& kernel_ = system_memory_source();
  std::atomic<std::size_t> requests_{0};
  std::atomic<std::size_t> refused_{0};
  std::atomic<std::size_t> refuse_from_{all};
  std::atomic<std::size_t> refuse_until_{0};
  std::atomic<std::size_t> turn_{0};
  std::atomic<std::size_t> most_reserved_{all};
  std::atomic<std::size_t> reserved_{0};
  std::atomic<std::size_t> mapped_{0};
  std::atomic<std::size_t> allocated_{0};
  std::atomic<std::size_t> populated_{0};
  std::atomic<std::size_t> given_back_{0};
};

} // namespace kvcache::test
