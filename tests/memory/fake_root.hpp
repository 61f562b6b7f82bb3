// A directory tree that stands for the / of some machine, thrown away with the object.
#pragma once

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <cstdlib>

namespace kvcache::test {

class fake_root {
public:
  using file = std::pair<std::string_view, std::string_view>; // path, content

  fake_root(std::initializer_list<file> files = {}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "kvcache-root-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
    for (const auto& [path, content] : files) write(path, content);
  }
  ~fake_root() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  fake_root(const fake_root&) = delete;
  fake_root& operator=(const fake_root&) = delete;

  // Writes in place, as the kernel's files change: a descriptor that is open sees the new content.
  void write(std::string_view path, std::string_view content) const {
    const std::filesystem::path full = path_ + std::string(path);
    std::filesystem::create_directories(full.parent_path());
    std::ofstream out(full, std::ios::binary | std::ios::trunc);
    out << content;
    if (!out) throw std::runtime_error("cannot write " + full.string());
  }

  void make_directory(std::string_view path) const {
    std::filesystem::create_directories(path_ + std::string(path));
  }

  // Has the path show another file, of the real machine.
  void link(std::string_view path, std::string_view target) const {
    const std::filesystem::path full = path_ + std::string(path);
    std::filesystem::create_directories(full.parent_path());
    std::filesystem::remove(full);
    std::filesystem::create_symlink(target, full);
  }

  void remove(std::string_view path) const {
    std::filesystem::remove_all(path_ + std::string(path));
  }

  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

} // namespace kvcache::test
