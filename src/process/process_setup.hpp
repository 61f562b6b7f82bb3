// Settings of this process in the kernel and the C library, made once, before the first thread
// starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kvcache::config {

struct open_file_limit {
  std::uint64_t soft = 0; // in force now
  std::string fault;      // why it could not be raised; empty if it could
};

// Raises the limit of open files to its hard limit: each connection needs one.
open_file_limit raise_open_file_limit();

// A warning if only `served` of so many connections can get a descriptor.
std::optional<std::string> find_too_few_files(const open_file_limit& limit,
                                              std::uint64_t connections, std::uint64_t served);

// Opens /dev/null for each closed descriptor from 0 to 2, so that no file or socket of this process
// gets its number and receives what is written to standard error. A replaced standard output is not
// writable, so that output to it fails instead of being lost silently.
// REQUIRES: this process has opened no descriptor yet.
void fill_standard_descriptors() noexcept;

// A write to a disconnected peer or log reader (SIGPIPE), or beyond the file size limit (SIGXFSZ,
// `ulimit -f`), returns an error instead of ending the process.
void ignore_write_signals() noexcept;

// Lets the kernel reap child processes, and reaps those that have already ended. This program
// starts none, but may inherit some: as process 1 of a container, every orphan in it; and those of
// a shell that executed it.
void reap_children() noexcept;

// Allocates the first thread's stack in advance, to a depth that it never reaches. The stacks of
// other threads are allocated completely; this one grows as it is used, and if the kernel refuses
// that, the process ends with SIGSEGV. A stack limit (`ulimit -s`) that is too low is raised if the
// kernel permits; otherwise all it allows is allocated. Other threads get at least as much. Errors:
// throws std::runtime_error with a message for the operator if the limit is too low to serve.
inline constexpr std::size_t preallocated_stack_bytes = 256 << 10; // more than the thread ever uses
void preallocate_stack();

// Disables transparent huge pages, which would make 2 MiB resident where 4 KiB are used, and keep
// them resident after pages are returned. False if the kernel refuses.
bool disable_huge_pages() noexcept;

// Makes glibc return large blocks (the buffers of a large body) to the kernel when they are freed.
// By default glibc raises that threshold with each such block, and then retains tens of megabytes
// in each thread's heap, which malloc_trim() does not reach.
void return_large_blocks_to_kernel() noexcept;

// Where address space is limited (RLIMIT_AS), makes all threads share glibc's first heap. Each of
// the others reserves 64 MiB of addresses, which may be what the stacks of later threads need.
void share_one_heap_if_addresses_are_limited() noexcept;

} // namespace kvcache::config
