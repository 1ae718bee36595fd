//! Runs test binaries on a real IPVS kernel: here, or in a User Mode Linux guest.
