//! The one thing here that needs unsafe code: mallopt(3), which no library has.
#![allow(
    unsafe_code,
    reason = "mallopt(3) is a function of C; the one call is below"
)]

/// Variables of the environment by which whoever starts the daemon chooses for himself (mallopt(3), and *Tunables* in the
/// manual of glibc).
#[cfg(target_env = "gnu")]
const CHOSEN: [&str; 2] = ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"];

/// Has all threads allocate from one heap, if the program is linked with glibc and its environment does not say otherwise.
///
/// glibc gives each busy thread a heap (*arena*) of its own. The daemon has two, and what one of them allocates the other frees, so
/// that both heaps keep gaps. All but the first heap also grow by one system call for each few kilobytes.
///
/// To be called before there are other threads.
pub fn share() {
    #[cfg(target_env = "gnu")]
    if CHOSEN.iter().all(|name| std::env::var_os(name).is_none()) {
        // SAFETY: it takes two numbers and changes nothing but the allocator's own settings, under its own lock. A number that it
        // does not know is refused.
        unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1) };
    }
}
