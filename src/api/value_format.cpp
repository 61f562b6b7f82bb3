#include "api/value_format.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace kvcache::http {
namespace {

// Their numbers are stored in entries, so a snapshot may hold them: further ones go to the end.
constexpr auto common_types = std::to_array<std::string_view>({text_type,
                                                               unknown_type,
                                                               "application/json",
                                                               "text/plain",
                                                               "text/html",
                                                               "text/html; charset=utf-8",
                                                               "application/json; charset=utf-8",
                                                               "text/plain;charset=UTF-8",
                                                               "text/css",
                                                               "text/csv",
                                                               "text/javascript",
                                                               "text/xml",
                                                               "application/xml",
                                                               "application/javascript",
                                                               "application/x-ndjson",
                                                               "application/pdf",
                                                               "application/gzip",
                                                               "application/zip",
                                                               "application/zstd",
                                                               "application/x-tar",
                                                               "application/wasm",
                                                               "application/protobuf",
                                                               "application/x-protobuf",
                                                               "application/vnd.google.protobuf",
                                                               "application/grpc",
                                                               "application/msgpack",
                                                               "application/vnd.msgpack",
                                                               "application/cbor",
                                                               "image/png",
                                                               "image/jpeg",
                                                               "image/gif",
                                                               "image/webp",
                                                               "image/avif",
                                                               "image/svg+xml",
                                                               "image/x-icon",
                                                               "font/woff2",
                                                               "audio/mpeg",
                                                               "video/mp4"});

constexpr unsigned utf8_bit = 0x80;
constexpr unsigned written_out = 0;
constexpr unsigned no_type = 0x7F;
constexpr std::size_t tag_bytes = sizeof(std::uint64_t);
static_assert(common_types.size() < no_type);

unsigned code_of(std::string_view type) noexcept {
  if (type.empty()) return no_type;
  const auto* const found = std::ranges::find(common_types, type);
  if (found == common_types.end()) return written_out;
  return static_cast<unsigned>(found - common_types.begin()) + 1;
}

} // namespace

stored_value read_trailer(std::string_view stored) noexcept {
  const auto last = static_cast<unsigned char>(stored.back());
  stored.remove_suffix(1);
  stored_value read;
  read.info.is_utf8 = (last & utf8_bit) != 0;
  const unsigned code = last & ~utf8_bit;
  if (code == written_out) {
    const auto bytes = static_cast<unsigned char>(stored.back());
    stored.remove_suffix(1);
    read.info.type = stored.substr(stored.size() - bytes);
    stored.remove_suffix(bytes);
  } else if (code != no_type) {
    read.info.type = common_types[code - 1];
  }
  if (stored.size() > tagged_above_bytes) {
    std::uint64_t tag = 0;
    stored.remove_suffix(tag_bytes);
    std::memcpy(&tag, stored.data() + stored.size(), tag_bytes);
    read.info.tag = tag;
  }
  read.bytes = stored;
  return read;
}

value_format::value_format(std::size_t value_bytes, std::string_view type, bool is_utf8,
                           std::uint64_t tag) noexcept {
  assert(type.size() <= content_type_bytes_most);
  const bool has_tag = value_bytes > tagged_above_bytes;
  if (type.empty() && !has_tag) {
    mark_ = is_utf8 ? value_mark::utf8 : value_mark::binary;
    return;
  }
  mark_ = value_mark::trailer;
  const auto append = [this](const void* from, std::size_t bytes) {
    std::memcpy(suffix_.data() + bytes_, from, bytes);
    bytes_ += bytes;
  };
  if (has_tag) append(&tag, tag_bytes);
  const unsigned code = code_of(type);
  if (code == written_out) {
    const auto bytes = static_cast<unsigned char>(type.size());
    append(type.data(), bytes);
    append(&bytes, 1);
  }
  const auto last = static_cast<unsigned char>(code | (is_utf8 ? utf8_bit : 0U));
  append(&last, 1);
}

} // namespace kvcache::http
