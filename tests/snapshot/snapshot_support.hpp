// What the tests of snapshots share: a store, a folder of its own for each test, and saving and
// loading in one call.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include "api/entity_tagger.hpp"
#include "api/value_format.hpp"
#include "bytes_source.hpp"
#include "cache/store.hpp"
#include "snapshot/atomic_file.hpp"
#include "snapshot/block_reader.hpp"
#include "snapshot/loader.hpp"
#include "snapshot/saver.hpp"

namespace kvcache::test {

class folder {
public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "kvcache-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    path_ = name;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::string file(std::string_view name) const { return (path_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{path_},
                                                  std::filesystem::directory_iterator{}));
  }

private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream{path, std::ios::binary}.write(bytes.data(),
                                              static_cast<std::streamsize>(bytes.size()));
}

// The order of eviction before anything is learned: by age alone.
inline by_use_and_age<int> by_age() {
  by_use_and_age<int> ranks{};
  for (auto& of_class : ranks)
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket)
      of_class[bucket] = static_cast<int>(bucket);
  return ranks;
}

inline constexpr snapshot::moment noon{.unix_ms = 1'700'000'000'000, .now = 5};

inline snapshot::save_request request_of(snapshot::moment begun = noon) {
  return {by_age(), {}, begun, 0x1122'3344'5566'7788, [] {
            return snapshot::save_request::verdict::go_on;
          }};
}

inline snapshot::save_result save_to(const std::string& path, store& from,
                                     const snapshot::save_request& request = request_of()) {
  snapshot::atomic_file file{path};
  return snapshot::save(from, file, request);
}

struct loaded {
  snapshot::header_fault fault = snapshot::header_fault::none;
  snapshot::load_state state = snapshot::load_state::refused;
  std::uint64_t entries = 0;
  std::uint64_t skipped_blocks = 0;
};

inline const http::entity_tagger& tagger() {
  static const http::entity_tagger tags;
  return tags;
}

// On this thread. The room is asked for before each block.
inline loaded load_bytes(
    std::string_view bytes, store& to, snapshot::moment now = noon,
    std::function<std::uint64_t()> room = [] { return UINT64_MAX; }) {
  memory_source_of_bytes source{bytes};
  snapshot::block_reader reader{source};
  const snapshot::decoded_header header = reader.read_header();
  if (header.fault != snapshot::header_fault::none) return {.fault = header.fault};
  if (!to.begin_loading(header.header.entries)) throw std::bad_alloc{};
  snapshot::loader loader{{to, tagger(), now, std::move(room)}, reader};
  loader.run();
  to.end_loading();
  return {header.fault, loader.result(), loader.entries(), loader.skipped_blocks()};
}

// An entry as the API stores it.
inline put_outcome put_typed(store& to, std::string_view key, std::string_view value,
                             std::string_view type, tick expires_at = never) {
  const std::string_view shown = type.empty() ? http::unknown_type : type;
  const http::value_format format{value.size(), type, true, tagger().tag_of(shown, value)};
  return to.put_if(key, {value, format.suffix(), format.mark()}, expires_at,
                   [](const entry_view*) { return true; });
}

struct seen_value {
  std::string bytes;
  std::string type;
  bool is_utf8 = false;
  std::optional<std::uint64_t> tag;
  tick expires_at = never;
  friend bool operator==(const seen_value&, const seen_value&) = default;
};

inline std::optional<seen_value> see(store& in, std::string_view key) {
  std::optional<seen_value> seen;
  in.inspect(key, [&](const entry_view& e) {
    const http::stored_value stored = http::read_stored(e.value(), e.mark());
    seen = {std::string{stored.bytes}, std::string{stored.info.type}, stored.info.is_utf8,
            stored.info.tag, e.expires_at()};
  });
  return seen;
}

} // namespace kvcache::test
