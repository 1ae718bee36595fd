//! The file that is the guest's memory.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// A guest's memory in MiB, where no more is asked for. The file is sparse: what the guest never used takes no space.
pub(crate) const MEBIBYTES: u64 = 1024;

/// Where to make files of so many MiB: `/dev/shm`, unless it is too small (64 MiB in a container: the guest would
/// die when it has used that much) or no program may be mapped from it.
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
