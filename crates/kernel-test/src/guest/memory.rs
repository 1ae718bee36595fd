//! The file that is the guest's memory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// A guest's default memory, in MiB. The file is sparse: memory that the guest never used takes no space.
pub(crate) const MEBIBYTES: u64 = 1024;

/// Environment: the memory of a test binary's guests instead, in MiB.
const MEMORY: &str = "PROXIER_KERNEL_TESTS_MEMORY";

/// The memory of a test binary's guests, in MiB.
///
/// # Errors
/// A text, if the variable is invalid.
pub(crate) fn from_environment() -> Result<u64, String> {
    parse(std::env::var_os(MEMORY).as_deref())
}

fn parse(value: Option<&OsStr>) -> Result<u64, String> {
    let Some(value) = value else {
        return Ok(MEBIBYTES);
    };
    let mebibytes = value.to_str().and_then(|text| text.parse().ok());
    mebibytes
        .filter(|mebibytes| (64..1 << 20).contains(mebibytes))
        .ok_or_else(|| format!("{MEMORY} is {value:?}: expected a number of MiB, such as 3072"))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_number_of_mebibytes() {
        assert_eq!(parse(None), Ok(MEBIBYTES));
        assert_eq!(parse(Some("3072".as_ref())), Ok(3072));
        for text in ["", "3G", "-1", "63", "99999999"] {
            let error = parse(Some(text.as_ref())).unwrap_err();
            assert!(error.contains(MEMORY), "{error}");
        }
    }
}
