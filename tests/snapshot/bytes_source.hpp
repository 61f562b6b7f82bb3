// The bytes of a file that is in memory.
#pragma once

#include <cstddef>
#include <string_view>

#include "snapshot/block_reader.hpp"

namespace kvcache::test {

class memory_source_of_bytes final : public snapshot::byte_source {
public:
  explicit memory_source_of_bytes(std::string_view bytes) : left_(bytes) {}
  ssize_t read(char* to, std::size_t count) noexcept override {
    const std::size_t part = left_.copy(to, count);
    left_.remove_prefix(part);
    return static_cast<ssize_t>(part);
  }

private:
  std::string_view left_;
};

} // namespace kvcache::test
