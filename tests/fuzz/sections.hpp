// Several texts in one fuzz input: NUL, which none of the kernel's texts has, ends each.
#pragma once

#include <cstddef>
#include <string_view>

namespace kvcache::fuzz {

class sections {
public:
  explicit sections(std::string_view input) noexcept : rest_(input) {}

  bool more() const noexcept { return !rest_.empty(); }

  // The next text; empty once all are taken.
  std::string_view next() noexcept {
    const std::size_t end = rest_.find('\0');
    const std::string_view section = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return section;
  }

private:
  std::string_view rest_;
};

} // namespace kvcache::fuzz
