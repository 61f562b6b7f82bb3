// Any bytes as a snapshot file. Holds: loading ends, and leaves a store whose invariants hold, with
// as many entries as were reported. The first bytes are replaced by a valid header, whose sync mark
// a fuzzer could not find; the rest is taken as it is.
#include <cstdint>
#include <string>
#include <string_view>

#include "api/entity_tagger.hpp"
#include "cache/store.hpp"
#include "fuzz/fuzzing.hpp"
#include "snapshot/block_reader.hpp"
#include "snapshot/bytes_source.hpp"
#include "snapshot/crc32c.hpp"
#include "snapshot/format.hpp"
#include "snapshot/loader.hpp"

using namespace kvcache;
using namespace kvcache::snapshot;
using kvcache::fuzz::check;

namespace {

constexpr std::uint64_t sync = 0x636E'7973'636E'7973; // "syncsync"

// The bytes up to each "|" as the payload of a block, whose kind is the first of them.
std::string file_of(std::string_view text) {
  const auto header = encode(file_header{sync, 1'700'000'000'000, 10});
  std::string file{header.data(), header.size()};
  std::uint32_t number = 0;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('|'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty()) continue;
    const std::string_view payload = part.substr(1);
    std::string block(block_header_bytes, '\0');
    const auto kind = static_cast<block_kind>(1 + static_cast<unsigned char>(part[0]) % 4);
    encode(
        block_header{kind, number++, static_cast<std::uint32_t>(payload.size()), crc32c(payload)},
        sync, block.data());
    file.append(block).append(payload);
  }
  return file;
}

void load(std::string_view file) {
  kvcache::test::memory_source_of_bytes source{file};
  block_reader reader{source};
  if (reader.read_header().fault != header_fault::none) return;
  store to{{.hold_limit_bytes = std::size_t{4} << 20}};
  static const http::entity_tagger tags;
  if (!to.begin_loading(10)) return;
  loader loads{{to, tags, {1'700'000'000'000, 5}, [] { return std::uint64_t{4} << 20; }}, reader};
  loads.run();
  to.end_loading();
  check(to.size() == loads.entries(), "the number of entries");
  check(to.check_invariants().empty(), "the store's invariants");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  load(text);          // damaged
  load(file_of(text)); // undamaged, of any content
  return 0;
}
