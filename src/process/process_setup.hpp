// What this process asks of the kernel for itself, once, before the first thread starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kvcache::config {

struct open_file_limit {
  std::uint64_t soft = 0; // what holds now
  std::string fault;      // why it could not be raised; empty if it could
};

// Raises the limit of open files to its hard limit: each connection is one.
open_file_limit raise_open_file_limit();

// What to warn of, if only `served` of so many connections can get a descriptor.
std::optional<std::string> find_too_few_files(const open_file_limit& limit,
                                              std::uint64_t connections, std::uint64_t served);

// Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no file or socket of
// ours gets its number and, with it, what is meant for standard error. Standard output cannot be
// written to then: what is printed there is not lost unnoticed. REQUIRES: no descriptor of ours is
// open yet.
void fill_standard_descriptors() noexcept;

// A write to a peer or log reader that is gone (SIGPIPE), or beyond the largest file allowed
// (SIGXFSZ, `ulimit -f`), is an error of that write and does not end the process.
void ignore_write_signals() noexcept;

// The kernel reaps our children from now on, and those that have ended are reaped here. We start
// none, but may be given some: as process 1 of a container every orphan in it, and what a shell has
// started before it executed us.
void reap_children() noexcept;

// Takes the first thread's stack, to a depth that it does not reach, while there is memory. Other
// threads have theirs from the start; this one's grows as it is used, and where the kernel refuses
// that, the process dies of SIGSEGV. A stack limit (`ulimit -s`) in the way is raised where the
// kernel lets us, and else all that it leaves is taken. Other threads get at least as much.
// Throws std::runtime_error with a message for the operator where the limit is too low to serve.
inline constexpr std::size_t stack_ahead_bytes = 256 << 10; // the whole service takes 120 of them
void grow_stack_ahead();

// Transparent huge pages would make 2 MiB resident where 4 KiB are used, and keep them so where
// pages are given back. False if the kernel refuses.
bool refuse_huge_pages() noexcept;

// What is large (the buffers of a large body) goes back to the kernel when it is freed. Left to
// itself, glibc raises its mark for that with each such block it sees, and then keeps tens of
// megabytes in each thread's heap for good, where asking it to trim does not reach.
void give_large_blocks_back() noexcept;

} // namespace kvcache::config
