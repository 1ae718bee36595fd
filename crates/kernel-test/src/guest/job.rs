//! The guest's configuration, which it reads when it boots: a file of `key NUL value NUL`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// The guest's configuration. Paths are the same on this machine and in the guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    /// The test binary.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
    /// Its working folder.
    pub(super) folder: PathBuf,
    /// Its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The guest kernel's modules: the folder that holds `modules.dep`.
    pub(super) modules: PathBuf,
    /// A folder in which the guest's writes are kept.
    pub(super) kept: Option<PathBuf>,
    /// Whether the guest is an emulated machine.
    pub(super) is_emulated: bool,
}

impl Job {
    /// The environment, as [`Command::envs`](std::process::Command::envs) takes it.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.environment.iter().map(|(name, value)| (name, value))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |key: &str, value: &OsStr| {
            for part in [key.as_bytes(), value.as_bytes()] {
                bytes.extend(part);
                bytes.push(0);
            }
        };
        put("program", self.program.as_os_str());
        put("folder", self.folder.as_os_str());
        put("modules", self.modules.as_os_str());
        if let Some(kept) = &self.kept {
            put("kept", kept.as_os_str());
        }
        if self.is_emulated {
            put("emulated", OsStr::new(""));
        }
        for argument in &self.arguments {
            put("argument", argument);
        }
        for (name, value) in &self.environment {
            put("name", name);
            put("value", value);
        }
        bytes
    }

    /// Reads a job; `None` if the bytes do not hold one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut job = Self::default();
        let mut name = OsString::new();
        let mut parts = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
        while let Some(key) = parts.next() {
            let value = OsString::from_vec(parts.next()?.to_vec());
            match key {
                b"program" => job.program = value.into(),
                b"folder" => job.folder = value.into(),
                b"modules" => job.modules = value.into(),
                b"kept" => job.kept = Some(value.into()),
                b"emulated" => job.is_emulated = true,
                b"argument" => job.arguments.push(value),
                b"name" => name = value,
                b"value" => job.environment.push((std::mem::take(&mut name), value)),
                _ => return None,
            }
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_way() {
        let job = Job {
            program: "/target/debug/deps/kernel".into(),
            arguments: vec!["--exact".into(), OsString::new(), "a b\n".into()],
            folder: "/work".into(),
            environment: vec![
                ("EMPTY".into(), OsString::new()),
                ("A".into(), "b=c\n".into()),
            ],
            modules: "/usr/lib/uml/modules/6.1.176".into(),
            kept: Some("/target".into()),
            is_emulated: true,
        };
        assert_eq!(Job::decode(&job.encode()), Some(job));
    }

    #[test]
    fn other_bytes_are_no_job() {
        for bytes in [&b""[..], b"program\0/bin/sh", b"key\0value\0", b"program\0"] {
            assert_eq!(Job::decode(bytes), None);
        }
    }
}
