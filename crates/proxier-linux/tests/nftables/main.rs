//! The `nftables` layout on Debian's kernel: what `LinuxKernel` writes and reads, and packets through it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod state;

use std::process::ExitCode;

use kernel_test::{Needs, tests};

fn main() -> ExitCode {
    let state = tests![
        state::what_is_written_is_read_back,
        state::elements_come_and_go,
        state::errors_are_typed,
        state::routing_is_written_and_read,
        state::what_others_put_into_the_table_is_seen,
    ];
    kernel_test::main(state.map(|test| test.needs(Needs::Debian)))
}
