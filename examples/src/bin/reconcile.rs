//! Shows what a cluster becomes.
fn main() {}
