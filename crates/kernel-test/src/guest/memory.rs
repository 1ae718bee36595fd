//! The file that is the guest's memory.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// The guest's memory. The file is sparse: what the guest never used takes no space.
pub(super) const MEBIBYTES: u64 = 1024;

/// Where to make the file: `/dev/shm`, unless it is too small (64 MiB in a container: the guest would
/// die when it has used that much) or no program may be mapped from it.
pub(super) fn folder(otherwise: &Path) -> PathBuf {
    let shm = Path::new("/dev/shm");
    match statvfs(shm) {
        Ok(found)
            if !found.flags().contains(FsFlags::ST_NOEXEC)
                && found.blocks_available() * found.fragment_size() >= MEBIBYTES << 20 =>
        {
            shm.to_owned()
        }
        _ => otherwise.to_owned(),
    }
}
