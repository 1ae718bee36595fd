//! Tests of what the scenarios do not show.
