// Checks the invariants between index, arena and budget that hold while no operation is under way.
// For tests: it visits every block and every slot.
//
// Thread-safety: none. REQUIRES: no other thread is inside any of them.
// Ownership: none. Errors: throws std::bad_alloc. Complexity: n log n in the number of entries.
#pragma once

#include <cstddef>
#include <string_view>

#include "cache/budget.hpp"
#include "cache/entry_arena.hpp"
#include "cache/ghost_table.hpp"
#include "cache/index.hpp"
#include "cache/keyed_hash.hpp"

namespace kvcache {

// Describes the first invariant that is violated; "" if none is:
//   - the budget has charged what arena (pages, descriptors), index (tables, segments) and ghosts
//     hold
//   - each slot of the index names another live entry, whose key has the slot's hash
//   - each allocated block is named by the index
//   - the counters of arena, index and store agree with the entries
std::string_view find_broken_invariant(const entry_arena& arena, entry_index& index,
                                       const ghost_table& ghosts, const budget& held,
                                       const keyed_hash& hash, std::size_t entries);

} // namespace kvcache
