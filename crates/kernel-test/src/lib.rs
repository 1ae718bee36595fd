//! Runs integration tests on a real kernel that has IPVS, each in a network namespace of its own.
//!
//! Machines that build software rarely have IPVS, and their users rarely root. So a test binary that
//! uses this crate runs its tests right here where the kernel can (root and IPVS), and otherwise
//! boots [User Mode Linux](https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html), a Linux
//! kernel that runs as an ordinary program, and runs itself inside it, one process per test. Where tests
//! are run side by side (`--test-threads`), there is a guest for each processor.
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
//! # What a test finds
//! A process of its own; root (in the guest, or in a user namespace); a new network namespace with
//! `lo` up; a new mount namespace with a fresh `/run` (so `ip netns`, and the lock of iptables, are the
//! test's own) and a `/sys` that shows the network namespace. What a test function returns or
//! panics with is its result; a test that ends its process otherwise fails. What it prints is shown.
//!
//! In the guest, the file tree is this machine's, but what a test writes is thrown away with the
//! guest, except below cargo's target folder. A guest has one processor; modules load on demand, or by
//! [`modprobe`]; iptables is the legacy one (`iptables-legacy`), the nft flavour's tables do not all
//! exist.
//!
//! # Environment
//! - `PROXIER_SKIP_KERNEL_TESTS=1`: report every test as ignored.
//! - `PROXIER_KERNEL_TESTS_IN=guest` or `=here`: do not choose.
//!
//! # Packages
//! Debian's `user-mode-linux ipset ipvsadm iptables iproute2 netbase kmod conntrack nftables strace`. What is
//! missing is installed (root), or fetched into the target folder for the guest to use (not root); either
//! is said on stderr.
#![forbid(unsafe_code)]

mod child;
mod command;
mod error;
mod guest;
mod harness;
mod machine;
mod namespace;
mod netns;
mod packages;
mod process;
mod report;
mod runner;
mod sysctl;
mod test;

pub use command::{CommandError, cmd, cmd_input, modprobe, try_cmd, try_cmd_input};
pub use error::Error;
pub use harness::{exec, exec_with_memory, main};
pub use namespace::Namespace;
pub use netns::Netns;
pub use sysctl::{set_sysctl, sysctl};
pub use test::{Body, Needs, Returns, Test};
