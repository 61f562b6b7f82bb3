// The part of store that takes over a value which has been written piece by piece.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "cache/store.hpp"

namespace kvcache {

// The lengths have words of their own if the longest value needs them: the layout is fixed before
// the value's length is known.
value_upload store::begin_upload(std::string_view key, std::size_t most_bytes) noexcept {
  assert(value_upload::least_bytes <= most_bytes);
  value_upload upload;
  if (std::max(key.size(), most_bytes) > cache::max_item_bytes) return upload;
  entry_shape shape = entry_shape::of(key.size(), most_bytes, never);
  shape.wide = shape.extended();
  const entry_arena::allocation block = arena_.reserve(shape.total_bytes());
  if (block.outcome != entry_arena::status::ok) return upload;
  char* const payload = arena_.at(block.handle).payload(shape);
  if (!key.empty()) std::memcpy(payload, key.data(), key.size());
  upload.store_ = this;
  upload.value_ = payload + key.size();
  upload.most_bytes_ = most_bytes;
  upload.block_ = block.handle;
  upload.header_bytes_ = static_cast<std::uint32_t>(shape.header_bytes());
  upload.key_bytes_ = static_cast<std::uint32_t>(key.size());
  return upload;
}

// The precondition is asked first, so that nothing is evicted in vain, and again when the block is
// put into the index. From adopt() on, the block is freed by link_block() or here.
put_outcome store::finish_upload(const value_upload& upload, const new_value& value,
                                 tick expires_at, precondition when) noexcept {
  entry_shape shape =
      entry_shape::of(upload.key_bytes_, value.bytes.size() + value.suffix.size(), expires_at);
  shape.wide = upload.header_bytes_ != shape.header_bytes() || shape.extended();
  assert(shape.header_bytes() == upload.header_bytes_ && shape.has_expiry);
  const std::string_view key{upload.value_ - upload.key_bytes_, upload.key_bytes_};
  if (shape.total_bytes() <= max_small_block_bytes) { // copied: it would waste addresses
    const put_outcome outcome = put_if(key, value, expires_at, when);
    abandon_upload(upload);
    return outcome;
  }
  const write_request request = make_request(key, value, expires_at, &when, shape);
  loads_.note_write(request.hash);
  finding found;
  index_.find(request.hash, key,
              [&](entry_handle handle, entry e) { found = examine(request, handle, e, e.meta()); });
  accesses_.count_access();
  if (!found.present) found.allowed = allows_absent(request);
  if (!found.allowed || (!found.present && !reserve_entry())) {
    abandon_upload(upload);
    return found.allowed ? put_outcome::no_room : put_outcome::precondition_failed;
  }
  if (!value.suffix.empty())
    std::memcpy(upload.value_ + value.bytes.size(), value.suffix.data(), value.suffix.size());
  entry fresh = arena_.at(upload.block_);
  fresh.write_header(shape, expires_at);
  arena_.adopt(upload.block_, shape.total_bytes());
  fresh.publish(meta_for_new(request, !found.present));
  if (expires_at != never) arena_.note_expiry(upload.block_, expires_at);
  room_effort effort = effort_for(shape.total_bytes());
  if (!make_room_for_adopted(shape.total_bytes(), effort)) {
    arena_.release(upload.block_);
    return put_outcome::no_room;
  }
  return link_block(request, upload.block_, effort);
}

} // namespace kvcache
