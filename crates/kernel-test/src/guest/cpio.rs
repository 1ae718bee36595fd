//! Archives in cpio's "newc" format, which kernels unpack into their initial file system.
//!
//! Format: <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>.

/// An archive that is being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

impl Archive {
    /// Adds a folder. Its parent comes before it.
    pub(super) fn folder(&mut self, name: &str) {
        self.entry(name, FOLDER, (0, 0), &[]);
    }

    /// Adds a file, executable by all.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, FILE, (0, 0), content);
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, CHARACTER_DEVICE, (major, minor), &[]);
    }

    /// The archive's bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        self.bytes.extend(b"070701");
        let links = 1;
        for field in [
            self.entries as usize, // the inode's number
            mode as usize,
            0, // user
            0, // group
            links,
            0, // time
            content.len(),
            0, // device that holds it
            0,
            major as usize,
            minor as usize,
            name.len() + 1,
            0, // checksum, of other formats
        ] {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GNU cpio 2.13: `printf hello >init; echo init | cpio -o -H newc`, without the blocks' padding, the
    /// numbers of inodes, the time and the device that holds the file.
    #[test]
    fn a_file_is_what_cpio_writes() {
        let mut archive = Archive::default();
        archive.file("init", b"hello");
        let expected = concat!(
            "070701",
            "00000001",
            "000081ED",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000005",
            "00000000",
            "init\0\0hello\0\0\0",
            "070701",
            "00000002",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000B",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        );
        let written = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn folders_and_devices_have_their_mode() {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.device("dev/console", 5, 1);
        let written = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(&written[14..22], "000041ED");
        let device = &written[written.rfind("dev/console").unwrap() - 110..];
        assert_eq!(&device[14..22], "00002180");
        assert_eq!(&device[78..94], "0000000500000001");
    }
}
