// Clang's thread-safety analysis (-Wthread-safety) under short names; nothing for other compilers.
#pragma once

#if defined(__clang__)
#define KVCACHE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define KVCACHE_THREAD_ATTRIBUTE(x)
#endif

#define KVCACHE_CAPABILITY(name) KVCACHE_THREAD_ATTRIBUTE(capability(name))
#define KVCACHE_SCOPED_CAPABILITY KVCACHE_THREAD_ATTRIBUTE(scoped_lockable)
#define KVCACHE_GUARDED_BY(lock) KVCACHE_THREAD_ATTRIBUTE(guarded_by(lock))
#define KVCACHE_REQUIRES(...) KVCACHE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define KVCACHE_EXCLUDES(...) KVCACHE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define KVCACHE_ACQUIRE(...) KVCACHE_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define KVCACHE_RELEASE(...) KVCACHE_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define KVCACHE_NO_THREAD_SAFETY_ANALYSIS KVCACHE_THREAD_ATTRIBUTE(no_thread_safety_analysis)
#define KVCACHE_TRY_ACQUIRE(...) KVCACHE_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
