#include "snapshot/format.hpp"

#include <bit>

#include "api/value_format.hpp"
#include "snapshot/crc32c.hpp"

namespace kvcache::snapshot {

namespace {

// A byte that no text has, the name, and what a transfer as text would change.
constexpr std::string_view magic{"\x89kvc\r\n\x1a\n", 8};

static_assert(type_bytes_most == http::content_type_bytes_most);

// ---- numbers, the least significant byte first ------------------------------------------------

template <class Number>
void store_number(Number number, char* to) noexcept {
  for (std::size_t i = 0; i < sizeof number; ++i)
    to[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> 8 * i);
}

template <class Number>
Number load_number(const char* from) noexcept {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    number |= std::uint64_t{static_cast<unsigned char>(from[i])} << 8 * i;
  return static_cast<Number>(number);
}

// Seven bits a byte; the high bit says that another one follows.
char* append_varint(std::uint64_t number, char* to) noexcept {
  for (; number >= 0x80; number >>= 7) *to++ = static_cast<char>(number | 0x80);
  *to++ = static_cast<char>(number);
  return to;
}

std::optional<std::uint64_t> take_varint(std::string_view& from) noexcept {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 63 && !from.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    number |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

// ---- an entry's first byte --------------------------------------------------------------------

constexpr unsigned uses_shift = 0;
constexpr unsigned references_shift = 2;
constexpr unsigned expires_bit = 1U << 4;
constexpr unsigned utf8_bit = 1U << 5;
constexpr unsigned type_shift = 6;
enum type_code : std::uint8_t { no_type = 0, text_type = 1, type_follows = 2 };

} // namespace

std::array<char, file_header_bytes> encode(const file_header& header) noexcept {
  std::array<char, file_header_bytes> bytes{};
  magic.copy(bytes.data(), magic.size());
  store_number(format_version, &bytes[8]);
  store_number(header.sync, &bytes[16]);
  store_number(header.written_at_ms, &bytes[24]);
  store_number(header.entries, &bytes[32]);
  store_number(crc32c({bytes.data(), 44}), &bytes[44]);
  return bytes;
}

decoded_header decode_file_header(std::string_view bytes) noexcept {
  if (bytes.size() < 12 || !bytes.starts_with(magic)) return {header_fault::not_a_snapshot};
  decoded_header read;
  read.version = load_number<std::uint32_t>(&bytes[8]);
  if (read.version > format_version) {
    read.fault = header_fault::newer_version;
  } else if (bytes.size() < file_header_bytes || read.version == 0 ||
             load_number<std::uint32_t>(&bytes[44]) != crc32c(bytes.substr(0, 44))) {
    read.fault = header_fault::damaged;
  } else {
    read.header = {load_number<std::uint64_t>(&bytes[16]), load_number<std::uint64_t>(&bytes[24]),
                   load_number<std::uint64_t>(&bytes[32])};
  }
  return read;
}

void encode(const block_header& header, std::uint64_t sync, char* to) noexcept {
  store_number(sync, to);
  store_number(static_cast<std::uint32_t>(header.kind), to + 8);
  store_number(header.number, to + 12);
  store_number(header.payload_bytes, to + 16);
  store_number(header.payload_crc, to + 20);
  store_number(crc32c({to, 24}), to + 24);
}

std::array<char, sizeof(std::uint64_t)> sync_bytes(std::uint64_t sync) noexcept {
  std::array<char, sizeof sync> bytes;
  store_number(sync, bytes.data());
  return bytes;
}

std::optional<block_header> decode_block_header(std::string_view bytes,
                                                std::uint64_t sync) noexcept {
  const auto kind = load_number<std::uint32_t>(&bytes[8]);
  const block_header read{static_cast<block_kind>(kind), load_number<std::uint32_t>(&bytes[12]),
                          load_number<std::uint32_t>(&bytes[16]),
                          load_number<std::uint32_t>(&bytes[20])};
  if (load_number<std::uint64_t>(&bytes[0]) != sync ||
      load_number<std::uint32_t>(&bytes[24]) != crc32c(bytes.substr(0, 24)) ||
      kind < static_cast<std::uint32_t>(block_kind::entries) ||
      kind > static_cast<std::uint32_t>(block_kind::experience) ||
      read.payload_bytes > payload_bytes_most)
    return std::nullopt;
  return read;
}

std::size_t encode(const entry_header& header, char* to) noexcept {
  const type_code type = header.type.empty()              ? type_code::no_type
                         : header.type == http::text_type ? type_code::text_type
                                                          : type_code::type_follows;
  char* end = to;
  *end++ = static_cast<char>(header.uses << uses_shift | header.references << references_shift |
                             (header.expires_at_ms != 0 ? expires_bit : 0U) |
                             (header.is_utf8 ? utf8_bit : 0U) |
                             static_cast<unsigned>(type) << type_shift);
  end = append_varint(header.age_epochs, end);
  end = append_varint(header.key_bytes, end);
  end = append_varint(header.value_bytes, end);
  if (header.expires_at_ms != 0) end = append_varint(header.expires_at_ms, end);
  if (type == type_code::type_follows) {
    *end++ = static_cast<char>(header.type.size());
    end += header.type.copy(end, header.type.size());
  }
  return static_cast<std::size_t>(end - to);
}

std::optional<entry_header> decode_entry_header(std::string_view& from) noexcept {
  if (from.empty()) return std::nullopt;
  const auto flags = static_cast<unsigned char>(from.front());
  from.remove_prefix(1);
  const auto age = take_varint(from);
  const auto key_bytes = take_varint(from);
  const auto value_bytes = take_varint(from);
  if (!age || *age > UINT32_MAX || !key_bytes || !value_bytes) return std::nullopt;
  entry_header read;
  read.uses = flags >> uses_shift & 3U;
  read.references = flags >> references_shift & 3U;
  read.age_epochs = static_cast<std::uint32_t>(*age);
  read.is_utf8 = (flags & utf8_bit) != 0;
  read.key_bytes = *key_bytes;
  read.value_bytes = *value_bytes;
  if ((flags & expires_bit) != 0) {
    const auto at = take_varint(from);
    if (!at || *at == 0) return std::nullopt;
    read.expires_at_ms = *at;
  }
  switch (flags >> type_shift) {
  case type_code::no_type:
    return read;
  case type_code::text_type:
    read.type = http::text_type;
    return read;
  case type_code::type_follows: {
    if (from.empty()) return std::nullopt;
    const auto bytes = static_cast<unsigned char>(from.front());
    if (bytes == 0 || bytes > type_bytes_most || from.size() < 1U + bytes) return std::nullopt;
    read.type = from.substr(1, bytes);
    from.remove_prefix(1U + bytes);
    return read;
  }
  default:
    return std::nullopt;
  }
}

std::array<char, experience_bytes> encode(const hit_density::experience& learned) noexcept {
  std::array<char, experience_bytes> bytes;
  char* to = bytes.data();
  for (const auto* figures : {&learned.hits, &learned.exposure}) {
    for (const auto& of_class : *figures) {
      for (const float figure : of_class) {
        store_number(std::bit_cast<std::uint32_t>(figure), to);
        to += sizeof figure;
      }
    }
  }
  return bytes;
}

std::optional<hit_density::experience> decode_experience(std::string_view payload) noexcept {
  constexpr float most = 1e15F;
  if (payload.size() != experience_bytes) return std::nullopt;
  hit_density::experience read;
  const char* from = payload.data();
  for (auto* figures : {&read.hits, &read.exposure}) {
    for (auto& of_class : *figures) {
      for (float& figure : of_class) {
        figure = std::bit_cast<float>(load_number<std::uint32_t>(from));
        if (!(figure >= 0 && figure <= most)) return std::nullopt; // or it is not a number
        from += sizeof figure;
      }
    }
  }
  return read;
}

std::array<char, totals_bytes> encode(const totals& t) noexcept {
  std::array<char, totals_bytes> bytes;
  store_number(t.entries, &bytes[0]);
  store_number(t.bytes, &bytes[8]);
  bytes[16] = t.complete ? 1 : 0;
  return bytes;
}

std::optional<totals> decode_totals(std::string_view payload) noexcept {
  if (payload.size() != totals_bytes || static_cast<unsigned char>(payload[16]) > 1)
    return std::nullopt;
  return totals{load_number<std::uint64_t>(&payload[0]), load_number<std::uint64_t>(&payload[8]),
                payload[16] == 1};
}

} // namespace kvcache::snapshot
