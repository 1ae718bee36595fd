//! The file that is the guest's memory.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// A guest's default memory, in MiB. The file is sparse: memory that the guest never used takes no space.
pub(crate) const MEBIBYTES: u64 = 1024;

/// The folder for files of `mebibytes` MiB: `/dev/shm`, unless it is too small (64 MiB in a container: the guest would
/// die once it has used that much) or programs cannot be mapped from it.
pub(super) fn folder(mebibytes: u64, otherwise: &Path) -> PathBuf {
    let shm = Path::new("/dev/shm");
    match statvfs(shm) {
        Ok(found)
            if !found.flags().contains(FsFlags::ST_NOEXEC)
                && found.blocks_available() * found.fragment_size() >= mebibytes << 20 =>
        {
            shm.to_owned()
        }
        _ => otherwise.to_owned(),
    }
}
