#include "snapshot/block_writer.hpp"

#include "snapshot/crc32c.hpp"

namespace kvcache::snapshot {

block_writer::block_writer(atomic_file& file)
    : file_(file), block_(std::make_unique_for_overwrite<char[]>(block_bytes_most)) {}

int block_writer::begin(const file_header& header) noexcept {
  sync_ = header.sync;
  const auto bytes = encode(header);
  return file_.write({bytes.data(), bytes.size()});
}

void block_writer::add(std::string_view bytes) noexcept {
  used_ += bytes.copy(payload() + used_, bytes.size());
}

void block_writer::append(const entry_header& header, std::string_view key,
                          std::string_view value) noexcept {
  used_ += encode(header, payload() + used_);
  add(key);
  add(value);
}

int block_writer::finish_block() noexcept {
  if (used_ == 0) return 0;
  const std::string_view filled{payload(), used_};
  encode(block_header{kind_, number_++, static_cast<std::uint32_t>(used_), crc32c(filled)}, sync_,
         block_.get());
  used_ = 0;
  return file_.write({block_.get(), block_header_bytes + filled.size()});
}

// Adds bytes, to further blocks where the present one is full.
int block_writer::fill(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    if (used_ == payload_bytes_most) {
      if (const int error = finish_block(); error != 0) return error;
      kind_ = block_kind::continuation;
    }
    const std::string_view part = bytes.substr(0, payload_bytes_most - used_);
    add(part);
    bytes.remove_prefix(part.size());
  }
  return 0;
}

int block_writer::write_long(const entry_header& header, std::string_view key,
                             std::string_view value) noexcept {
  if (const int error = finish_block(); error != 0) return error;
  kind_ = block_kind::long_entry;
  used_ = encode(header, payload());
  int error = fill(key);
  if (error == 0) error = fill(value);
  if (error == 0) error = finish_block();
  kind_ = block_kind::entries;
  return error;
}

int block_writer::write_experience(const hit_density::experience& learned) noexcept {
  const auto bytes = encode(learned);
  return write_block(block_kind::experience, {bytes.data(), bytes.size()});
}

int block_writer::end(const totals& t) noexcept {
  const auto bytes = encode(t);
  return write_block(block_kind::end, {bytes.data(), bytes.size()});
}

int block_writer::write_block(block_kind kind, std::string_view payload) noexcept {
  int error = finish_block();
  if (error != 0) return error;
  kind_ = kind;
  add(payload);
  error = finish_block();
  kind_ = block_kind::entries;
  return error;
}

} // namespace kvcache::snapshot
