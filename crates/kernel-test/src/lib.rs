//! Runs integration tests on a real kernel that has IPVS, each in a network namespace of its own.
//!
//! Machines that build software rarely have IPVS, and their users are rarely root. So a test binary that
//! uses this crate runs its tests on this machine's kernel where it can (root and IPVS). Otherwise it
//! boots [User Mode Linux](https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html), a Linux
//! kernel that runs as an ordinary program, and runs itself inside, one process per test. Tests that
//! run side by side (`--test-threads`) use one guest per processor. Tests that change more than a
//! namespace ([`Needs::OwnKernel`]) run in a guest everywhere. Tests of what that kernel lacks
//! ([`Needs::Debian`]) run under Debian's kernel, emulated by QEMU: more slowly, on two processors.
//! [`Test::beside`] connects a guest with this machine, where something runs that the test talks to.
//! Names, filters, `--list`, output, failures and the exit status are those of any `cargo test`.
//!
//! ```toml
//! [[test]]
//! name = "kernel"
//! harness = false
//! ```
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use kernel_test::{cmd, tests};
//!
//! fn main() -> ExitCode {
//!     kernel_test::main(tests![added_by_ipvsadm])
//! }
//!
//! fn added_by_ipvsadm() {
//!     cmd("ipvsadm -A -t 10.0.0.1:80 -s rr");
//!     assert_eq!(cmd("ipvsadm -Sn"), "-A -t 10.0.0.1:80 -s rr\n");
//! }
//! ```
//!
//! # The environment of a test
//! Each test has a process of its own; root (in the guest, or in a user namespace); a new network
//! namespace with `lo` up; and a new mount namespace with a fresh `/run` (so `ip netns` and the lock of
//! iptables belong to the test) and a `/sys` that shows the network namespace. A test passes if its
//! function returns success, and fails if it returns an error, panics, or ends its process. Its output
//! is shown.
//!
//! Tests of one binary share guests, one after the other. A test may not count on which modules are loaded there, or on
//! anything else that another has done.
//!
//! The guest has this machine's file tree. What a test writes there is lost when the guest halts,
//! except below cargo's target folder. Modules load on demand, or by [`modprobe`]. User Mode Linux has
//! one processor, and legacy iptables only (`iptables-legacy`): the kernel lacks tables of the nft
//! flavour. Debian's kernel has two processors and both.
//!
//! # Environment
//! - `PROXIER_SKIP_KERNEL_TESTS=1` reports every test as ignored.
//! - `PROXIER_KERNEL_TESTS_IN=guest` runs tests that need IPVS in the guest even if this machine's kernel
//!   has it, `=here` on this machine even if it seems not to, `=debian` under Debian's kernel.
//! - `PROXIER_KERNEL_TESTS_CLOCK=instructions` boots Debian's kernel on one processor, and the guest's clock counts its
//!   instructions, a nanosecond each (QEMU's `-icount`): for times that stand apart from what else this machine does.
//! - `PROXIER_KERNEL_TESTS_PART=1/3` runs every third test, from the first; `proxier-linux/kernel=1/3` does so in that
//!   test binary only.
//! - `PROXIER_KERNEL_TESTS_ORDER=17` shuffles the tests, with 17 for the seed, and `=reverse` runs the last one first: a test
//!   that needs what another left in the guest fails then. A notice tells how to repeat the order.
//! - `PROXIER_KERNEL_TESTS_MEMORY=3072` gives each guest 3,072 MiB of memory instead of 1,024.
//!
//! # Packages
//! Debian's `user-mode-linux ipset ipvsadm iptables iproute2 netbase kmod conntrack nftables strace`. If one
//! is missing, every test fails with the `apt-get` line that installs it. For Debian's kernel also
//! `qemu-system-x86`, and the kernel itself (`linux-image-amd64`), installed or unpacked below cargo's
//! target folder by `.ci/debian-kernel`. The harness installs nothing.
#![forbid(unsafe_code)]

mod child;
mod command;
mod error;
mod guest;
mod harness;
mod link;
mod machine;
mod namespace;
mod netns;
mod order;
mod packages;
mod part;
mod process;
mod report;
mod runner;
#[cfg(feature = "sockets")]
mod sockets;
mod sysctl;
mod test;

pub use command::{CommandError, cmd, cmd_input, modprobe, script, try_cmd, try_cmd_input};
pub use error::Error;
pub use harness::{exec, exec_counting_instructions, exec_with_memory, main};
pub use link::Link;
pub use machine::iptables_flavour;
pub use namespace::Namespace;
pub use netns::Netns;
#[cfg(feature = "sockets")]
pub use sockets::AnySocket;
pub use sysctl::{set_sysctl, sysctl};
pub use test::{Body, Needs, Returns, Test};
